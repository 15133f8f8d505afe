// EDNS0 (RFC 6891): reading the OPT record of a query without decoding the whole message.

export interface EdnsOption { readonly code: number; readonly data: Buffer }
export interface Edns {
  /** The asker's UDP payload size, as sent. */
  readonly size: number
  readonly version: number
  /** The upper eight bits of the rcode. */
  readonly extendedRcode: number
  /** The DO bit (RFC 3225). */
  readonly dnssec: boolean
  readonly options: readonly EdnsOption[]
}

/** Offset of the OPT record's type field in the additional section that starts at `at`, or undefined. Skips other records. */
function findOpt(message: Buffer, at: number): number | undefined {
  const counts = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  let i = at
  for (let n = 0; n < counts && i < message.length; n++) {
    const start = i
    while (i < message.length && message[i]! !== 0 && message[i]! < 64) i += message[i]! + 1
    i += i < message.length && message[i]! >= 192 ? 2 : 1
    if (i + 10 > message.length) return undefined
    const end = i + 10 + message.readUInt16BE(i + 8)
    if (end > message.length) return undefined
    if (message.readUInt16BE(i) === 41 && i === start + 1) return i
    i = end
  }
  return undefined
}

/** Its options are read only when asked for: most queries are asked only for the size. */
export class EdnsView implements Edns {
  readonly #message: Buffer
  readonly #at: number
  readonly size: number
  private constructor(message: Buffer, at: number) {
    this.#message = message
    this.#at = at
    this.size = message.readUInt16BE(at + 2)
  }
  /** `end`: the offset behind the question. */
  static read(message: Buffer, end: number): Edns | undefined {
    if (message.readUInt16BE(10) === 0) return undefined
    const at = findOpt(message, end)
    return at === undefined ? undefined : new EdnsView(message, at)
  }
  get extendedRcode(): number { return this.#message[this.#at + 4]! }
  get version(): number { return this.#message[this.#at + 5]! }
  get dnssec(): boolean { return (this.#message[this.#at + 6]! & 0x80) !== 0 }
  get options(): readonly EdnsOption[] {
    const data = this.#message.subarray(this.#at + 10, this.#at + 10 + this.#message.readUInt16BE(this.#at + 8))
    return readOptions(data)
  }
}

/** Stops at the first that does not fit. */
export function readOptions(data: Buffer): EdnsOption[] {
  const options: EdnsOption[] = []
  for (let i = 0; i + 4 <= data.length;) {
    const length = data.readUInt16BE(i + 2)
    if (i + 4 + length > data.length) break
    options.push({ code: data.readUInt16BE(i), data: data.subarray(i + 4, i + 4 + length) })
    i += 4 + length
  }
  return options
}
