// CRI log lines (`<RFC3339Nano> stdout F text`) and which of them a reader asked for: upstream's
// kuberuntime/logs. Pure.
import { StatusError } from '#lib/errors.ts'

export interface LogOptions {
  readonly follow: boolean
  readonly previous: boolean
  readonly timestamps: boolean
  readonly tailLines?: number
  readonly limitBytes?: number
  /** Milliseconds since 1970. */
  readonly since?: number
  /** `Stdout` or `Stderr` alone. */
  readonly stream?: 'stdout' | 'stderr'
}

/** Query parameters of /containerLogs. Throws StatusError 400. */
export function logOptions(query: URLSearchParams, now: number): LogOptions {
  const number = (name: string): number | undefined => {
    const text = query.get(name)
    if (text === null || text === '') return undefined
    if (!/^\d+$/.test(text)) throw new StatusError(400, 'BadRequest', `invalid ${name} ${JSON.stringify(text)}: it must be a whole number`)
    return Number(text)
  }
  const flag = (name: string) => ['true', '1'].includes(query.get(name) ?? '')
  const sinceSeconds = number('sinceSeconds'), sinceTime = query.get('sinceTime')
  const since = sinceSeconds !== undefined ? now - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined
  if (Number.isNaN(since)) throw new StatusError(400, 'BadRequest', `invalid sinceTime ${JSON.stringify(sinceTime)}: it must be RFC 3339`)
  const tailLines = number('tailLines'), limitBytes = number('limitBytes')
  const stream = query.get('stream')?.toLowerCase()
  return {
    follow: flag('follow'), previous: flag('previous'), timestamps: flag('timestamps'),
    ...(tailLines !== undefined && { tailLines }), ...(limitBytes !== undefined && { limitBytes }), ...(since !== undefined && { since }),
    ...((stream === 'stdout' || stream === 'stderr') && { stream }),
  }
}

/** Turns the bytes of a log file into what a reader sees; keeps the rest of an unfinished line. */
export class LogFilter {
  readonly #options: LogOptions
  #rest = Buffer.alloc(0)
  #left: number
  /** A partial line (tag P) is continued by the next: only its first piece gets a timestamp. */
  #partial = false

  constructor(options: LogOptions) {
    this.#options = options
    this.#left = options.limitBytes ?? Infinity
  }

  /** True when limitBytes have been given. */
  get full(): boolean { return this.#left <= 0 }

  push(chunk: Buffer): Buffer {
    const data = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk
    const out: Buffer[] = []
    let from = 0
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
      const text = this.#line(data.subarray(from, end))
      if (text) out.push(...text)
      from = end + 1
    }
    this.#rest = Buffer.from(data.subarray(from))
    const bytes = Buffer.concat(out)
    const allowed = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
    this.#left -= allowed.length
    return allowed
  }

  #line(line: Buffer): Buffer[] | undefined {
    const first = line.indexOf(32), second = line.indexOf(32, first + 1), third = line.indexOf(32, second + 1)
    if (first < 0 || second < 0) return undefined
    const stamp = line.toString('latin1', 0, first), stream = line.toString('latin1', first + 1, second)
    const tagEnd = third < 0 ? line.length : third
    const partial = line.toString('latin1', second + 1, tagEnd).split(':')[0] === 'P'
    if (this.#options.stream && this.#options.stream !== stream) return undefined
    if (this.#options.since !== undefined && Date.parse(stamp) < this.#options.since) return undefined
    const head = this.#options.timestamps && !this.#partial ? [Buffer.from(`${stamp} `)] : []
    this.#partial = partial
    const text = third < 0 ? Buffer.alloc(0) : line.subarray(third + 1)
    return [...head, text, ...(partial ? [] : [Buffer.from('\n')])]
  }
}

/** Where the last `lines` lines of a block begin, given how many newlines are still wanted; -1 when not in this block. */
export function tailStart(block: Buffer, wanted: number): { start: number; found: number } {
  let found = 0
  for (let at = block.lastIndexOf(10); at >= 0; at = at === 0 ? -1 : block.lastIndexOf(10, at - 1)) {
    found++
    if (found > wanted) return { start: at + 1, found }
  }
  return { start: -1, found }
}
