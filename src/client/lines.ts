// Splits a stream of bytes into lines as they arrive: a watch is one JSON document a line. Holds at
// most one unfinished line, of bounded length, and joins its pieces once, when its end arrives.

/** An object of the API is at most 3 MB; a longer line is no watch event. */
export const maxLineBytes = 16 << 20

export class LineSplitter {
  #pieces: Uint8Array[] = []
  #held = 0
  readonly #limit: number
  constructor(limit = maxLineBytes) { this.#limit = limit }

  /** The lines that this chunk completes, without their newlines and without empty ones. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      this.#hold(chunk.subarray(start, end))
      const line = this.#take()
      if (line !== '' && line !== '\r') lines.push(line)
      start = end + 1
    }
    this.#hold(chunk.subarray(start))
    return lines
  }
  /** What is left when the stream ends without a newline. */
  rest(): string { return this.#take().trim() }

  #hold(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#held += piece.length
    if (this.#held > this.#limit) throw new Error(`a line of the watch is longer than ${this.#limit} bytes: this is no Kubernetes watch`)
    this.#pieces.push(piece)
  }
  #take(): string {
    const pieces = this.#pieces
    this.#pieces = []
    this.#held = 0
    return pieces.length === 1 ? text(pieces[0]!) : Buffer.concat(pieces).toString('utf8')
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
