// What the web programs say to each other about a request and its answer, as plain values. Pure;
// server.ts puts it on a socket.

export interface Request {
  readonly method: string
  /** Decoded as far as Go's URL.Path is; always begins with `/`. */
  readonly path: string
  /** As sent, path and query. */
  readonly url: string
  /** Query parameters, after those of a form body, as Go's FormValue sees them. */
  readonly form: URLSearchParams
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** `10.244.1.2:43210`, `[::1]:43210`. */
  readonly remote: string
}

export interface Response {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

export const text = (body: string, status = 200): Response => ({ status, body })
/** Go's http.Error. */
export const error = (message: string, status: number): Response =>
  ({ status, body: `${message}\n`, headers: { 'X-Content-Type-Options': 'nosniff' } })

/** `host:port` of a socket's address; IPv4 that came in through an IPv6 socket is IPv4. */
export function hostPort(address: string, port: number): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}

/** encoding/json escapes what HTML would read. */
export const goJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** `X-Forwarded-For`, from `x-forwarded-for` (net/textproto's canonical form). */
export const canonicalHeader = (name: string): string => name.split('-').map(part => part.slice(0, 1).toUpperCase() + part.slice(1)).join('-')

/** The path of a request line; a malformed escape is undefined. */
export function pathOf(url: string): string | undefined {
  const path = /^[^?#]*/.exec(url)![0].replace(/^https?:\/\/[^/]*/, '')
  try {
    return decodeURIComponent(path) || '/'
  } catch {
    return undefined
  }
}
