// DNS over TCP as frames: two bytes of length, then the message (RFC 1035 4.2.2). Pure.

/** Cuts a stream into messages, whatever the pieces it comes in. Holds at most one message's bytes. */
export class Frames {
  #held: Buffer = Buffer.alloc(0)

  /** The messages that are complete now. */
  add(piece: Buffer): Buffer[] {
    const data = this.#held.length ? Buffer.concat([this.#held, piece]) : piece
    const out: Buffer[] = []
    let at = 0
    while (at + 2 <= data.length) {
      const end = at + 2 + data.readUInt16BE(at)
      if (end > data.length) break
      out.push(data.subarray(at + 2, end))
      at = end
    }
    this.#held = at === data.length ? Buffer.alloc(0) : data.subarray(at)
    return out
  }
  /** Whether a message has begun and not ended. */
  get isInside(): boolean { return this.#held.length > 0 }
}

export function framed(message: Buffer): Buffer {
  const out = Buffer.allocUnsafe(message.length + 2)
  out.writeUInt16BE(message.length, 0)
  message.copy(out, 2)
  return out
}
