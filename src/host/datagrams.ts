// Many datagrams in one system call (recvmmsg, sendmmsg), through node:ffi: what Node's dgram lacks.
// A batch works on the descriptor of a dgram socket that stays Node's; it never waits. Linux, 64 bits.
import type { Socket } from 'node:dgram'
import ffi from 'node:ffi'

const { functions: libc } = ffi.dlopen('libc.so.6', {
  recvmmsg: { arguments: ['int32', 'uint64', 'uint32', 'int32', 'uint64'], return: 'int32' },
  sendmmsg: { arguments: ['int32', 'uint64', 'uint32', 'int32'], return: 'int32' },
})

/** struct mmsghdr: msghdr (name, namelen, iov, iovlen, control, controllen, flags), then the length. */
const headerSize = 64, iovSize = 16, nameSize = 28, lengthAt = 56, flagsAt = 48
const MSG_DONTWAIT = 0x40, MSG_TRUNC = 0x20

/** Memory that the kernel reads and writes by address: allocated once, never moved. */
class Vector {
  readonly headers: Buffer
  readonly iovs: Buffer
  readonly names: Buffer
  readonly data: Buffer
  readonly address: bigint
  readonly slot: number

  constructor(count: number, slot: number) {
    this.slot = slot
    this.headers = Buffer.alloc(count * headerSize)
    this.iovs = Buffer.alloc(count * iovSize)
    this.names = Buffer.alloc(count * nameSize)
    this.data = Buffer.alloc(count * slot)
    const [iovs, names, data] = [this.iovs, this.names, this.data].map(buffer => BigInt(ffi.getRawPointer(buffer))) as [bigint, bigint, bigint]
    this.address = BigInt(ffi.getRawPointer(this.headers))
    for (let i = 0; i < count; i++) {
      this.headers.writeBigUInt64LE(names + BigInt(i * nameSize), i * headerSize)
      this.headers.writeUInt32LE(nameSize, i * headerSize + 8)
      this.headers.writeBigUInt64LE(iovs + BigInt(i * iovSize), i * headerSize + 16)
      this.headers.writeBigUInt64LE(1n, i * headerSize + 24)
      this.iovs.writeBigUInt64LE(data + BigInt(i * slot), i * iovSize)
      this.iovs.writeUInt32LE(slot, i * iovSize + 8)
    }
  }
}

/** The descriptor of a bound socket; undefined when this Node keeps it where we do not find it. */
export function descriptorOf(socket: Socket): number | undefined {
  const state = Object.getOwnPropertySymbols(socket).find(symbol => symbol.description === 'state symbol')
  const { handle } = (state ? Reflect.get(socket, state) : {}) as { handle?: { fd?: number } }
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined
}

export class DatagramBatch {
  readonly #fd: number
  readonly count: number
  readonly #in: Vector
  readonly #out: Vector
  #held = 0

  /** `slot`: the most bytes of a datagram, received or sent. */
  constructor(fd: number, { count = 32, slot = 4096 }: { count?: number; slot?: number } = {}) {
    this.#fd = fd
    this.count = count
    this.#in = new Vector(count, slot)
    this.#out = new Vector(count, slot)
  }

  /** How many datagrams were there; 0 when none. They are read with `message` and answered before the next call. */
  receive(): number {
    const { headers, address } = this.#in
    const count = libc.recvmmsg(this.#fd, address, this.count, MSG_DONTWAIT, 0n)
    for (let i = 0; i < count; i++) headers[i * headerSize + 8] = nameSize // the kernel wrote how long the name was
    return Math.max(0, count)
  }

  /** A copy of datagram `i`; undefined when it was longer than a slot. */
  message(i: number): Buffer | undefined {
    const { headers, data, slot } = this.#in
    const at = i * headerSize
    if (headers[at + flagsAt]! & MSG_TRUNC) return undefined
    const length = headers[at + lengthAt]! | headers[at + lengthAt + 1]! << 8
    const out = Buffer.allocUnsafe(length)
    for (let n = 0, from = i * slot; n < length; n++) out[n] = data[from + n]!
    return out
  }

  /** The sender of datagram `i`: an IPv4 address as a number, an IPv6 one as its 16 bytes, copied. */
  address(i: number): number | Buffer {
    const { names } = this.#in, at = i * nameSize
    if (names[at] !== 2) return Buffer.from(names.subarray(at + 8, at + 24))
    return (names[at + 4]! << 24 | names[at + 5]! << 16 | names[at + 6]! << 8 | names[at + 7]!) >>> 0
  }
  port(i: number): number {
    const { names } = this.#in, at = i * nameSize
    return names[at + 2]! << 8 | names[at + 3]!
  }

  /** Holds an answer to the sender of datagram `i` until `send`. False when it is longer than a slot. */
  answer(i: number, bytes: Buffer): boolean {
    const { data, names, iovs, headers, slot } = this.#out
    if (bytes.length > slot) return false
    const n = this.#held++
    if (bytes.length > 200) bytes.copy(data, n * slot)
    else for (let at = n * slot, from = 0; from < bytes.length; from++) data[at + from] = bytes[from]!
    iovs[n * iovSize + 8] = bytes.length & 255
    iovs[n * iovSize + 9] = bytes.length >> 8
    const from = i * nameSize, to = n * nameSize, size = this.#in.names[from] === 2 ? 16 : nameSize
    for (let k = 0; k < size; k++) names[to + k] = this.#in.names[from + k]!
    headers[n * headerSize + 8] = size
    return true
  }

  /** Sends what is held. One that the kernel will not take (a full buffer, an address without a route) is dropped, as the network might. */
  send(): void {
    for (let from = 0; from < this.#held;) {
      const sent = libc.sendmmsg(this.#fd, this.#out.address + BigInt(from * headerSize), this.#held - from, MSG_DONTWAIT)
      from += sent > 0 ? sent : 1
    }
    this.#held = 0
  }
}
