// Which port a new proxy socket tries: the machine's ephemeral range, one after the other. Asked for
// any free port, the kernel looks for one from a random place: with 10,000 taken that is milliseconds
// for each. Opens nothing.

export class FreePorts {
  readonly #first: number
  readonly #count: number
  #next: number

  /** `start` is from 0 to 1: where in the range to begin. */
  constructor([first, last]: readonly [number, number], start: number) {
    this.#first = first
    this.#count = last - first + 1
    this.#next = Math.floor(start * this.#count)
  }

  /** One that may be free; after all have been given, the first again. */
  next(): number {
    this.#next = (this.#next + 1) % this.#count
    return this.#first + this.#next
  }
}

/** `net.ipv4.ip_local_port_range`; Linux's own default when it cannot be read. */
export function parsePortRange(text: string | undefined): [number, number] {
  const [first, last] = (text ?? '').trim().split(/\s+/).map(Number)
  return first && last && first <= last ? [first, last] : [32_768, 60_999]
}

/** Opens by `open` on one port after the other, passing over those in use; the last refusal is thrown. */
export async function onFreePort<T>(ports: FreePorts, open: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try { return await open(ports.next()) } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === maxAttempts) throw error
    }
  }
}
const maxAttempts = 2000
