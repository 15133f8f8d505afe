// How a file server reads a request: paths, validators, ranges, log lines. Pure; apply.ts opens the
// files. Shared by the stand-ins for nginx and Tomcat and by test-webserver.

/** What differs between the servers that serve files. */
export interface Site {
  /** The file or directory for a normalised URL path. */
  readonly locate: (path: string) => string
  readonly index: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly errorPage: (status: number, path: string) => { readonly body: string; readonly type: string }
  readonly typeOf: (name: string) => string
  /** A page for a directory without an index; without it that is 403. */
  readonly listing?: (names: readonly string[]) => string
  /** 405 for methods other than GET and HEAD; without it they are all read as GET. */
  readonly readOnly: boolean
  /** Whether 304 is ever answered. */
  readonly conditional: boolean
  readonly entityTag: (size: number, modifiedMs: number) => string | undefined
}

/** `//a/./b/../c` is `/a/c`; undefined when it climbs out or holds a NUL. */
export function normalise(path: string): string | undefined {
  if (path.includes('\0') || !path.startsWith('/')) return undefined
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') { if (parts.pop() === undefined) return undefined } else if (part !== '' && part !== '.') parts.push(part)
  }
  const slash = parts.length > 0 && /\/\.{0,2}$/.test(path) ? '/' : ''
  return `/${parts.join('/')}${slash}`
}

export interface Range { readonly start: number; readonly end: number }

/** RFC 9110 14.2: one range of bytes. Several, or another unit, are ignored as they may be. */
export function rangeOf(header: string | undefined, size: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  const [first, last] = [match[1]!, match[2]!]
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (first !== '' && last !== '' && Number(last) < start) return undefined
  return start >= size || (first === '' && Number(last) === 0) ? 'unsatisfiable' : { start, end }
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** RFC 9110 13.2.2: If-None-Match decides alone where it is present. */
export function notModified(headers: Headers, modified: string, tag: string | undefined): boolean {
  const none = headers['if-none-match']
  if (typeof none === 'string') {
    return none.trim() === '*' || none.split(',').some(candidate => candidate.trim().replace(/^W\//, '') === tag)
  }
  const since = headers['if-modified-since']
  return typeof since === 'string' && Date.parse(since) >= Date.parse(modified)
}

/** nginx's entity tag: seconds and size in hexadecimal. */
export const nginxTag = (size: number, modifiedMs: number): string => `"${Math.floor(modifiedMs / 1000).toString(16)}-${size.toString(16)}"`
/** Tomcat's: weak, size and milliseconds. */
export const tomcatTag = (size: number, modifiedMs: number): string => `W/"${size}-${Math.floor(modifiedMs)}"`

const types: Record<string, string> = {
  html: 'text/html', htm: 'text/html', css: 'text/css', js: 'text/javascript', mjs: 'text/javascript', json: 'application/json', txt: 'text/plain', xml: 'text/xml',
  svg: 'image/svg+xml', png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', ico: 'image/x-icon', pdf: 'application/pdf',
  wasm: 'application/wasm', woff: 'font/woff', woff2: 'font/woff2', zip: 'application/zip', gz: 'application/gzip', mp4: 'video/mp4', mp3: 'audio/mpeg',
}
export const typeOf = (name: string): string | undefined => types[/\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? '']

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (n: number) => String(n).padStart(2, '0')
const field = (value: string | readonly string[] | undefined) => typeof value === 'string' && value !== '' ? value.replace(/[\x00-\x1f"\\\x7f]/g, char => `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`) : '-'

/** nginx's `main` log format: combined and X-Forwarded-For. */
export function accessLine({ remote, now, method, url, status, bytes, headers }: { remote: string; now: Date; method: string; url: string; status: number; bytes: number; headers: Headers }): string {
  const stamp = `${two(now.getUTCDate())}/${months[now.getUTCMonth()]}/${now.getUTCFullYear()}:${two(now.getUTCHours())}:${two(now.getUTCMinutes())}:${two(now.getUTCSeconds())} +0000`
  return `${remote} - - [${stamp}] "${field(`${method} ${url} HTTP/1.1`)}" ${status} ${bytes} "${field(headers.referer)}" "${field(headers['user-agent'])}" "${field(headers['x-forwarded-for'])}"`
}
