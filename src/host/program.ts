// A list of system calls as a process: what a container needs done between fork and exec (mount
// /proc, pivot_root, drop capabilities, exec), where no tool of the machine can be run any more
// because its libraries lie outside the container. The interpreter is a static ELF program of some
// 120 bytes that reads the list from descriptor 4 and reports what failed on descriptor 3.
import { closeSync, openSync, writeSync } from 'node:fs'
import { constants, errnoName, memfd, syscalls } from './libc.ts'
import type { Constant, Syscall } from './libc.ts'

/** A number, bytes at an address, a string at an address, a NULL-terminated array of strings at an address, or names of constants to be or-ed. */
export type Argument = number | bigint | string | Uint8Array | { readonly strings: readonly string[] } | { readonly or: readonly Constant[] }
export interface Step {
  readonly call: Syscall
  readonly args: readonly Argument[]
  /** What a person reads when it fails: `mount proc`. The call's name unless told. */
  readonly what?: string
  /** Go on when it fails; the failure is still reported. Otherwise the process ends with status 125. */
  readonly mayFail?: boolean
}
export interface Failure { readonly index: number; readonly errno: string }

/** Descriptors in the new process: 0 to 2 are its own. The program itself must close or mark both. */
export const reportFd = 3, listFd = 4

const codeAt = 0x400000n, listAt = 0x600000n, listSize = 0x400000n
const entrySize = 64 // number, six arguments, mayFail

// read(4, list, size); then for each entry: the call; when it failed write {index, errno} to 3 and,
// unless it may fail, exit_group(125).
const amd64 = `
31c0 bf04000000 be00006000 ba00004000 0f05          xor eax,eax; mov edi,4; mov esi,list; mov edx,size; syscall
bb00006000 4531e4                                   mov ebx,list; xor r12d,r12d
488b03 488b7b08 488b7310 488b5318                   mov rax,[rbx]; mov rdi,[rbx+8]; mov rsi,[rbx+16]; mov rdx,[rbx+24]
4c8b5320 4c8b4328 4c8b4b30 0f05                     mov r10,[rbx+32]; mov r8,[rbx+40]; mov r9,[rbx+48]; syscall
4885c0 7928                                         test rax,rax; jns good
bd0000a000 44896500 f7d8 894504                     mov ebp,record; mov [rbp],r12d; neg eax; mov [rbp+4],eax
b801000000 bf03000000 89ee ba08000000 0f05          mov eax,write; mov edi,3; mov esi,ebp; mov edx,8; syscall
48837b3800 7409                                     cmp qword [rbx+56],0; je die
41ffc4 4883c340 ebad                                good: inc r12d; add rbx,64; jmp next
b8e7000000 bf7d000000 0f05                          die: mov eax,exit_group; mov edi,125; syscall`
const aarch64 = `
e80780d2 800080d2 010ca0d2 0208a0d2 010000d4        mov x8,read; mov x0,4; mov x1,list; mov x2,size; svc 0
130ca0d2 140080d2                                   mov x19,list; mov x20,0
680240f9 608640a9 628e41a9 649642a9 010000d4        ldr x8,[x19]; ldp x0,x1,[x19,8]; ldp x2,x3,[x19,24]; ldp x4,x5,[x19,40]; svc 0
4001f8b6                                            tbz x0,63,good
0114a0d2 e00300cb 34000029                          mov x1,record; neg x0,x0; stp w20,w0,[x1]
080880d2 600080d2 020180d2 010000d4                 mov x8,write; mov x0,3; mov x2,8; svc 0
601e40f9 800000b4                                   ldr x0,[x19,56]; cbz x0,die
94060091 73020191 efffff17                          good: add x20,x20,1; add x19,x19,64; b next
c80b80d2 a00f80d2 010000d4                          die: mov x8,exit_group; mov x0,125; svc 0`
const bytesOf = (listing: string) =>
  Buffer.from(listing.trim().split('\n').map(line => line.split(/\s{2,}/)[0]!.replaceAll(' ', '')).join(''), 'hex')

interface Segment { type: number; flags: number; at: bigint; fileSize: bigint; memorySize: bigint; align: bigint }
/** The interpreter as an ELF file for `arch`. */
export function interpreter(arch: 'x64' | 'arm64'): Buffer {
  const code = bytesOf(arch === 'arm64' ? aarch64 : amd64)
  const headerSize = 64 + 3 * 56
  const file = Buffer.alloc(headerSize + code.length)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  file.writeUInt16LE(2, 16) // ET_EXEC
  file.writeUInt16LE(arch === 'arm64' ? 183 : 62, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(codeAt + BigInt(headerSize), 24) // entry
  file.writeBigUInt64LE(64n, 32) // program headers
  file.writeUInt16LE(64, 52); file.writeUInt16LE(56, 54); file.writeUInt16LE(3, 56)
  const segments: Segment[] = [
    { type: 1, flags: 5, at: codeAt, fileSize: BigInt(file.length), memorySize: BigInt(file.length), align: 0x10000n },
    { type: 1, flags: 6, at: listAt, fileSize: 0n, memorySize: listSize + 0x1000n, align: 0x10000n },
    { type: 0x6474e551, flags: 6, at: 0n, fileSize: 0n, memorySize: 0n, align: 16n }, // PT_GNU_STACK: not executable
  ]
  segments.forEach((segment, i) => {
    const at = 64 + 56 * i
    file.writeUInt32LE(segment.type, at); file.writeUInt32LE(segment.flags, at + 4)
    file.writeBigUInt64LE(segment.at, at + 16); file.writeBigUInt64LE(segment.at, at + 24)
    file.writeBigUInt64LE(segment.fileSize, at + 32); file.writeBigUInt64LE(segment.memorySize, at + 40)
    file.writeBigUInt64LE(segment.align, at + 48)
  })
  code.copy(file, headerSize)
  return file
}

/** The list as the interpreter reads it; the last step must not return (execve, exit_group). */
export function compile(steps: readonly Step[]): Buffer {
  const entries = Buffer.alloc(steps.length * entrySize)
  const data: Buffer[] = []
  let end = BigInt(entries.length)
  const place = (bytes: Uint8Array): bigint => {
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8)
    padded.set(bytes)
    data.push(padded)
    const address = listAt + end
    end += BigInt(padded.length)
    return address
  }
  const value = (argument: Argument): bigint => {
    if (typeof argument === 'number' || typeof argument === 'bigint') return BigInt(argument)
    if (typeof argument === 'string') return place(Buffer.from(argument + '\0'))
    if (argument instanceof Uint8Array) return place(argument)
    if ('or' in argument) return argument.or.reduce((sum, name) => sum | constants[name], 0n)
    return place(new Uint8Array(new BigUint64Array([...argument.strings.map(value), 0n]).buffer))
  }
  steps.forEach((step, i) => {
    const words = [BigInt(syscalls[step.call]), ...step.args.map(value)]
    words.forEach((word, j) => entries.writeBigUInt64LE(BigInt.asUintN(64, word), i * entrySize + j * 8))
    entries.writeBigUInt64LE(step.mayFail ? 1n : 0n, i * entrySize + 56)
  })
  if (end > listSize) throw new Error(`arguments and environment take ${end} bytes, more than ${listSize}`)
  return Buffer.concat([entries, ...data])
}

/** What the process wrote to `reportFd`. */
export function failures(report: Buffer): Failure[] {
  return Array.from({ length: Math.floor(report.length / 8) }, (_, i) =>
    ({ index: report.readUInt32LE(i * 8), errno: errnoName(report.readUInt32LE(i * 8 + 4)) }))
}

let ready: string | undefined
/**
 * The interpreter's path, to be spawned with the list's descriptor as number 4. Made on the first call, which must come
 * before any other thread forks: a child that holds the file open for writing would make it `text file busy`.
 */
export function interpreterPath(): string {
  if (ready) return ready
  const writing = memfd('fairway-init')
  writeSync(writing, interpreter(process.arch === 'arm64' ? 'arm64' : 'x64'))
  const fd = openSync(`/proc/self/fd/${writing}`, 'r')
  closeSync(writing)
  return ready = `/proc/self/fd/${fd}`
}

/** A descriptor that the list can be read from, at its beginning; the caller closes it. */
export function listDescriptor(steps: readonly Step[]): number {
  const fd = memfd('fairway-steps')
  writeSync(fd, compile(steps))
  return reopened(fd)
}
function reopened(fd: number): number {
  try { return openSync(`/proc/self/fd/${fd}`, 'r') } finally { closeSync(fd) }
}
