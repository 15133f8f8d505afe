// DNS over TCP as frames: two bytes of length, then the message (RFC 1035 4.2.2). Pure.

/** Cuts a stream into messages, whatever the pieces it comes in. Holds at most one message's bytes. */
export class Frames {
  #pieces: Buffer[] = []
  #length = 0

  /** The messages that are complete now. */
  add(piece: Buffer): Buffer[] {
    this.#pieces.push(piece)
    this.#length += piece.length
    // Pieces are put together only when that completes a message: a sender of single bytes must not make us copy each time.
    if (this.#length < this.#wanted()) return []
    const data = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    const out: Buffer[] = []
    let at = 0
    while (at + 2 <= data.length) {
      const end = at + 2 + data.readUInt16BE(at)
      if (end > data.length) break
      out.push(data.subarray(at + 2, end))
      at = end
    }
    this.#pieces = at === data.length ? [] : [data.subarray(at)]
    this.#length = data.length - at
    return out
  }
  /** Whether a message has begun and not ended. */
  get isInside(): boolean { return this.#length > 0 }

  /** Bytes until the first message is complete, as far as is known. */
  #wanted(): number {
    const [first, second] = this.#pieces
    if (this.#length < 2) return 2
    return 2 + (first!.length > 1 ? first!.readUInt16BE(0) : first![0]! << 8 | second![0]!)
  }
}

export function framed(message: Buffer): Buffer {
  const out = Buffer.allocUnsafe(message.length + 2)
  out.writeUInt16BE(message.length, 0)
  message.copy(out, 2)
  return out
}
