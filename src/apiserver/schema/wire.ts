// The protobuf wire format (proto2: varints, lengths, tags), bounded: a reader that never leaves its
// window and a writer that grows. Knows no types; protobuf.ts does.

/** What is wrong with a body; protobuf.ts makes the 400 of it. */
export class WireError extends Error {}

export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const
const deepestGroup = 20

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** Reads one message: bytes `at` to `end` of a shared buffer, so that nested messages cost no copy. */
export class Reader {
  readonly #bytes: Uint8Array
  #at: number
  readonly #end: number
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) { this.#bytes = bytes; this.#at = start; this.#end = end }

  get done(): boolean { return this.#at >= this.#end }

  #byte(): number {
    if (this.#at >= this.#end) throw new WireError('unexpected EOF')
    return this.#bytes[this.#at++]!
  }

  /** The low 64 bits as [low 32, high 32], both unsigned. */
  #varint(): [number, number] {
    let low = 0, high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte()
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) { low |= bits << 28; high |= bits >>> 4 } else if (shift < 64) high |= bits << (shift - 32)
      if (byte < 0x80) return [low >>> 0, high >>> 0]
    }
    throw new WireError('integer overflow')
  }

  /** A signed 64-bit varint; exact up to 2^53, as JSON numbers are in JavaScript. */
  int64(): number { const [low, high] = this.#varint(); return (high | 0) * 2 ** 32 + low }
  int32(): number { return this.#varint()[0] | 0 }
  uint32(): number { return this.#varint()[0] }
  bool(): boolean { const [low, high] = this.#varint(); return low !== 0 || high !== 0 }

  double(): number {
    if (this.#at + 8 > this.#end) throw new WireError('unexpected EOF')
    const value = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8).getFloat64(0, true)
    this.#at += 8
    return value
  }

  tag(): { number: number; type: number } {
    const [low, high] = this.#varint()
    const number = low >>> 3
    if (high !== 0 || number === 0) throw new WireError(`illegal tag ${number} (wire type ${low & 7})`)
    return { number, type: low & 7 }
  }

  #length(): number {
    const [length, high] = this.#varint()
    if (high !== 0 || length > this.#end - this.#at) throw new WireError('unexpected EOF')
    return length
  }

  /** The next length-delimited field as a reader of its own. */
  message(): Reader {
    const length = this.#length()
    const start = this.#at
    this.#at += length
    return new Reader(this.#bytes, start, this.#at)
  }

  bytes(): Uint8Array {
    const length = this.#length()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  string(): string { return decoder.decode(this.bytes()) }

  skip(type: number, depth = 0): void {
    switch (type) {
      case wireTypes.varint: this.#varint(); return
      case wireTypes.bytes: this.bytes(); return
      case wireTypes.fixed64: case wireTypes.fixed32: {
        const size = type === wireTypes.fixed64 ? 8 : 4
        if (this.#end - this.#at < size) throw new WireError('unexpected EOF')
        this.#at += size
        return
      }
      case wireTypes.startGroup: this.#skipGroup(depth + 1); return
      default: throw new WireError(`illegal wireType ${type}`)
    }
  }

  #skipGroup(depth: number): void {
    if (depth > deepestGroup) throw new WireError('groups nested too deep')
    for (;;) {
      const { type } = this.tag()
      if (type === wireTypes.endGroup) return
      this.skip(type, depth)
    }
  }
}

/** Appends fields; `message` writes a nested one in place and moves it up to make room for its length. */
export class Writer {
  #bytes = new Uint8Array(256)
  #length = 0

  finish(): Uint8Array { return this.#bytes.slice(0, this.#length) }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }

  varint(value: number): void {
    this.#reserve(10)
    let low = value >>> 0, high = Math.floor(value / 2 ** 32) >>> 0
    while (high !== 0 || low > 0x7f) {
      this.#bytes[this.#length++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.#bytes[this.#length++] = low
  }

  tag(number: number, type: number): void { this.varint(number * 8 + type) }

  double(value: number): void {
    this.#reserve(8)
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true)
    this.#length += 8
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(bytes: Uint8Array): void { this.varint(bytes.length); this.raw(bytes) }
  string(text: string): void { this.bytes(encoder.encode(text)) }

  message(write: () => void): void {
    const start = this.#length
    write()
    const length = this.#length - start
    this.varint(length)
    const prefix = this.#bytes.slice(start + length, this.#length)
    this.#bytes.copyWithin(start + prefix.length, start, start + length)
    this.#bytes.set(prefix, start)
  }
}
