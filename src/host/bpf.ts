// eBPF through bpf(2): maps, programs and their links to a control group, without clang or libbpf;
// and network namespace cookies, by which programs tell namespaces apart. What programs do is the
// caller's; this file moves bytes. Everything made here goes with its descriptor: nothing is pinned.
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs'
import ffi from 'node:ffi'
import { errnoName, SystemError } from './libc.ts'
import { inNetns } from './netns.ts'

const { functions: libc } = ffi.dlopen('libc.so.6', {
  syscall: { arguments: ['int64', 'int64', 'pointer', 'int64'], return: 'int64' },
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  getsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'], return: 'int32' },
  __errno_location: { arguments: [], return: 'pointer' },
})
const syscallNumber = BigInt(process.arch === 'arm64' ? 280 : 321)

/** enum bpf_cmd */
const commands = { MAP_CREATE: 0, MAP_LOOKUP_ELEM: 1, MAP_UPDATE_ELEM: 2, MAP_DELETE_ELEM: 3, MAP_GET_NEXT_KEY: 4, PROG_LOAD: 5,
  OBJ_GET_INFO_BY_FD: 15, PROG_QUERY: 16, BTF_LOAD: 18, MAP_UPDATE_BATCH: 26, LINK_CREATE: 28 } as const
const mapTypes = { hash: 1, array: 2, lru_hash: 9, sk_storage: 24 } as const
const BPF_F_NO_PREALLOC = 1, BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18
/** enum bpf_attach_type */
const attachTypes = { connect4: 10, connect6: 11, sendmsg4: 14, sendmsg6: 15, recvmsg4: 19, recvmsg6: 20, getpeername4: 29, getpeername6: 30 } as const
export type AttachType = keyof typeof attachTypes

/** A buffer whose address the kernel may be told: it never moves. */
const fixed = (size: number): Buffer => Buffer.from(new ArrayBuffer(Math.max(size, 8)), 0, size)
const fixedCopy = (bytes: Buffer): Buffer => { const copy = fixed(bytes.length); bytes.copy(copy); return copy }
const address = (buffer: Buffer): bigint => BigInt(ffi.getRawPointer(buffer))

/** Returns -errno when the kernel refuses. */
function bpf(command: keyof typeof commands, attributes: Buffer): number {
  const result = Number(libc.syscall(syscallNumber, BigInt(commands[command]), attributes, BigInt(attributes.length)))
  return result < 0 ? -ffi.getInt32(libc.__errno_location()) : result
}
function checked(result: number, call: string): number {
  if (result < 0) throw new SystemError(call, errnoName(-result))
  return result
}

export interface MapOptions { readonly type: keyof typeof mapTypes; readonly name: string; readonly keySize: number; readonly valueSize: number; readonly maxEntries: number }

/** One map. Keys and values are exactly as long as the map says. */
export class BpfMap {
  readonly fd: number
  readonly options: MapOptions
  readonly #key: Buffer
  readonly #value: Buffer
  readonly #element = fixed(32)
  /** The same without a value, which the kernel wants to be 0 where it is not used. */
  readonly #keyOnly = fixed(32)

  constructor(options: MapOptions) {
    const { type, name, keySize, valueSize, maxEntries } = options
    const attributes = fixed(128)
    const noPrealloc = type === 'hash' || type === 'sk_storage'
    const numbers = [mapTypes[type], keySize, valueSize, maxEntries, noPrealloc ? BPF_F_NO_PREALLOC : 0]
    numbers.forEach((number, i) => attributes.writeUInt32LE(number, 4 * i))
    attributes.write(name.slice(0, 15), 28)
    const types = type === 'sk_storage' ? loadTypes(valueSize) : undefined
    if (types !== undefined) { attributes.writeUInt32LE(types, 48); attributes.writeUInt32LE(1, 52); attributes.writeUInt32LE(2, 56) }
    try { this.fd = checked(bpf('MAP_CREATE', attributes), `bpf MAP_CREATE ${name}`) } finally { if (types !== undefined) closeSync(types) }
    this.options = options
    this.#key = fixed(keySize)
    this.#value = fixed(valueSize)
    this.#element.writeUInt32LE(this.fd, 0)
    this.#element.writeBigUInt64LE(address(this.#key), 8)
    this.#element.copy(this.#keyOnly)
    this.#element.writeBigUInt64LE(address(this.#value), 16)
  }

  update(key: Buffer, value: Buffer): void {
    key.copy(this.#key)
    value.copy(this.#value)
    checked(bpf('MAP_UPDATE_ELEM', this.#element), `bpf MAP_UPDATE_ELEM ${this.options.name}`)
  }

  /** Many at once: `keys` and `values` stand one behind the other. */
  updateAll(keys: readonly Buffer[], values: readonly Buffer[]): void {
    if (keys.length === 0) return
    if (keys.length === 1) return this.update(keys[0]!, values[0]!)
    const allKeys = fixedCopy(Buffer.concat(keys)), allValues = fixedCopy(Buffer.concat(values))
    const attributes = fixed(56)
    attributes.writeBigUInt64LE(address(allKeys), 16)
    attributes.writeBigUInt64LE(address(allValues), 24)
    attributes.writeUInt32LE(keys.length, 32)
    attributes.writeUInt32LE(this.fd, 36)
    checked(bpf('MAP_UPDATE_BATCH', attributes), `bpf MAP_UPDATE_BATCH ${this.options.name}`)
  }

  /** Absent is fine. */
  delete(key: Buffer): void {
    key.copy(this.#key)
    const result = bpf('MAP_DELETE_ELEM', this.#keyOnly)
    if (result < 0 && errnoName(-result) !== 'ENOENT') checked(result, `bpf MAP_DELETE_ELEM ${this.options.name}`)
  }

  lookup(key: Buffer): Buffer | undefined {
    key.copy(this.#key)
    const result = bpf('MAP_LOOKUP_ELEM', this.#element)
    if (result < 0 && errnoName(-result) === 'ENOENT') return undefined
    checked(result, `bpf MAP_LOOKUP_ELEM ${this.options.name}`)
    return Buffer.from(this.#value)
  }

  /** All keys; what changes meanwhile may be missed. */
  keys(): Buffer[] {
    const found: Buffer[] = [], attributes = fixed(32), next = fixed(this.options.keySize), last = fixed(this.options.keySize)
    attributes.writeUInt32LE(this.fd, 0)
    attributes.writeBigUInt64LE(address(next), 16)
    for (;;) {
      const result = bpf('MAP_GET_NEXT_KEY', attributes)
      if (result < 0 && errnoName(-result) === 'ENOENT') return found
      checked(result, `bpf MAP_GET_NEXT_KEY ${this.options.name}`)
      found.push(Buffer.from(next))
      next.copy(last)
      attributes.writeBigUInt64LE(address(last), 8)
    }
  }

  close(): void { closeSync(this.fd) }
}

/** Type information for storage at sockets, which the kernel demands: 1 is an int, 2 an array of them (Documentation/bpf/btf.rst). */
function loadTypes(valueSize: number): number {
  const strings = Buffer.from('\0int\0')
  const words = [1, 1 << 24, 4, 1 << 24 | 32, /* [] */ 0, 3 << 24, 0, 1, 1, valueSize / 4]
  const types = Buffer.alloc(4 * words.length)
  words.forEach((word, i) => types.writeUInt32LE(word, 4 * i))
  const header = Buffer.alloc(24)
  header.writeUInt16LE(0xeb9f, 0); header[2] = 1
  ;[24, 0, types.length, types.length, strings.length].forEach((number, i) => header.writeUInt32LE(number, 4 + 4 * i))
  const all = fixedCopy(Buffer.concat([header, types, strings])), log = fixed(4096), attributes = fixed(32)
  attributes.writeBigUInt64LE(address(all), 0)
  attributes.writeBigUInt64LE(address(log), 8)
  attributes.writeUInt32LE(all.length, 16)
  attributes.writeUInt32LE(log.length, 20)
  attributes.writeUInt32LE(1, 24)
  const result = bpf('BTF_LOAD', attributes)
  if (result < 0) throw new SystemError(`bpf BTF_LOAD: ${text(log)}`, errnoName(-result))
  return result
}

const text = (log: Buffer) => log.toString('latin1', 0, Math.max(0, log.indexOf(0))).trim()
// Ours; no helper that the programs call is for GPL programs only.
const license = fixedCopy(Buffer.from('Apache-2.0\0'))

/** Loads a program for a hook of struct bpf_sock_addr; returns its descriptor. The error ends with what the verifier said. */
export function loadProgram({ name, hook, code }: { readonly name: string; readonly hook: AttachType; readonly code: Buffer }): number {
  const instructions = fixedCopy(code)
  const load = (log?: Buffer) => {
    const attributes = fixed(128)
    attributes.writeUInt32LE(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, 0)
    attributes.writeUInt32LE(code.length / 8, 4)
    attributes.writeBigUInt64LE(address(instructions), 8)
    attributes.writeBigUInt64LE(address(license), 16)
    if (log) { attributes.writeUInt32LE(1, 24); attributes.writeUInt32LE(log.length, 28); attributes.writeBigUInt64LE(address(log), 32) }
    attributes.write(name.slice(0, 15), 48)
    attributes.writeUInt32LE(attachTypes[hook], 68)
    return bpf('PROG_LOAD', attributes)
  }
  const result = load()
  if (result >= 0) return result
  const log = fixed(1 << 20)
  load(log)
  throw new SystemError(`bpf PROG_LOAD ${name}${log[0] ? `: ${text(log).slice(-2000)}\n` : ''}`, errnoName(-result))
}

/** Runs the program for every process below the control group until the returned descriptor is closed, by us or by our death. */
export function attachProgram(program: number, hook: AttachType, cgroup: number): number {
  const attributes = fixed(64)
  attributes.writeUInt32LE(program, 0)
  attributes.writeUInt32LE(cgroup, 4)
  attributes.writeUInt32LE(attachTypes[hook], 8)
  return checked(bpf('LINK_CREATE', attributes), `bpf LINK_CREATE ${hook}`)
}

/** Whether a link still holds its program to the control group; another program may have detached it, or the group is gone. */
export function isAttached(link: number): boolean {
  const info = fixed(80), attributes = fixed(16) // struct bpf_link_info: type, id, prog_id, (8-aligned) cgroup.cgroup_id
  attributes.writeUInt32LE(link, 0)
  attributes.writeUInt32LE(info.length, 4)
  attributes.writeBigUInt64LE(address(info), 8)
  checked(bpf('OBJ_GET_INFO_BY_FD', attributes), 'bpf OBJ_GET_INFO_BY_FD')
  return info.readBigUInt64LE(16) !== 0n
}

/** How many programs run for the hook at this control group itself, ours and others'. */
export function attachedPrograms(cgroup: number, hook: AttachType): number {
  const attributes = fixed(64)
  attributes.writeUInt32LE(cgroup, 0)
  attributes.writeUInt32LE(attachTypes[hook], 4)
  const result = bpf('PROG_QUERY', attributes)
  if (result < 0 && errnoName(-result) !== 'ENOSPC') checked(result, `bpf PROG_QUERY ${hook}`)
  return attributes.readUInt32LE(24)
}

const SOL_SOCKET = 1, SO_NETNS_COOKIE = 71, AF_INET = 2, SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
/** What a program's get_netns_cookie says of sockets in the namespace at `netns` (undefined: the calling thread's). */
export function netnsCookie(netns?: string): bigint {
  const value = fixed(8), length = fixed(4)
  length.writeUInt32LE(8)
  const fd = Number(inNetns(netns, () => libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0)))
  if (fd < 0) throw new SystemError('socket', errnoName(ffi.getInt32(libc.__errno_location())))
  try {
    if (Number(libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length)) < 0) throw new SystemError('getsockopt SO_NETNS_COOKIE', errnoName(ffi.getInt32(libc.__errno_location())))
  } finally { closeSync(fd) }
  return value.readBigUInt64LE()
}

/** The first control group namespace of the machine (PROC_CGROUP_INIT_INO). */
const firstCgroupNamespace = 'cgroup:[4026531835]'

/**
 * Where the root of the machine's version 2 control groups is mounted; pure. Within a control group namespace mountinfo tells a
 * mount's root from there: `/` is the namespace's own, `/..` (as often as needed) the machine's.
 */
export function cgroupRootIn(mountinfo: string, namespace: string): string | undefined {
  const wanted = namespace === firstCgroupNamespace ? /^\/$/ : /^(\/\.\.)+$/
  return mountinfo.split('\n').flatMap(line => {
    const [before, after] = line.split(' - ')
    const [, , , root, point] = before!.split(' ')
    return after?.startsWith('cgroup2 ') && wanted.test(root!) ? [point!] : []
  })[0]
}

const FSOPEN_CLOEXEC = 1n, FSCONFIG_CMD_CREATE = 6n, fsopen = 430n, fsconfig = 431n, fsmount = 432n
const { functions: mounts } = ffi.dlopen('libc.so.6', { syscall: { arguments: ['int64', 'int64', 'int64', 'pointer', 'pointer', 'int64'], return: 'int64' } })

/** A descriptor of the machine's root control group (version 2), for `attachProgram`; undefined where it cannot be reached from here. */
export function openCgroupRoot(): number | undefined {
  const namespace = readlinkSync('/proc/self/ns/cgroup')
  const path = cgroupRootIn(readFileSync('/proc/self/mountinfo', 'utf8'), namespace)
  if (path !== undefined) return openSync(path, 'r')
  return namespace === firstCgroupNamespace ? mountDetached() : undefined
}

/** cgroup2 as a mount that stands nowhere: a pod's file system shows none. */
function mountDetached(): number | undefined {
  const name = fixedCopy(Buffer.from('cgroup2\0'))
  const context = Number(mounts.syscall(fsopen, address(name), FSOPEN_CLOEXEC, null, null, 0n))
  if (context < 0) return undefined
  try {
    if (Number(mounts.syscall(fsconfig, BigInt(context), FSCONFIG_CMD_CREATE, null, null, 0n)) < 0) return undefined
    const mount = Number(mounts.syscall(fsmount, BigInt(context), FSOPEN_CLOEXEC, null, null, 0n))
    return mount < 0 ? undefined : mount
  } finally { closeSync(context) }
}
