// Serves files: opens what files.ts located and streams it, with validators and one range.
import { open, readdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pathOf } from '../http.ts'
import { accessLine, normalise, notModified, rangeOf } from './files.ts'
import type { Site } from './files.ts'

/** `log` gets one line a request once it is answered. */
export function serveFiles(site: Site, log?: (line: string) => void): RequestListener {
  return (request, response) => {
    if (log) response.once('close', () => log(lineOf(request, response)))
    handle(site, request, response).catch(() => response.destroy())
  }
}

async function handle(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume()
  const decoded = pathOf(request.url ?? '/')
  const path = decoded === undefined ? undefined : normalise(decoded)
  if (path === undefined) return refuse(site, response, 400, '/')
  if (site.readOnly && request.method !== 'GET' && request.method !== 'HEAD') return refuse(site, response, 405, path)
  const file = site.locate(path)
  const handle = await openFile(file)
  if (typeof handle === 'number') return refuse(site, response, handle, path)
  try {
    if ((await handle.stat()).isDirectory()) return await sendDirectory(site, request, response, { path, file })
    if (path.endsWith('/') && path !== '/') return refuse(site, response, 404, path)
    await sendFile(site, request, response, { handle, name: file })
  } finally {
    await handle.close()
  }
}

/** A handle, or the status that says why there is none. */
async function openFile(file: string): Promise<FileHandle | number> {
  try {
    // A FIFO that nobody writes to would hold the request for ever.
    const handle = await open(file, 0x800 /* O_RDONLY | O_NONBLOCK */)
    const stats = await handle.stat()
    if (stats.isFile() || stats.isDirectory()) return handle
    await handle.close()
    return 403
  } catch (error) {
    return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '') ? 403 : 404
  }
}

async function sendDirectory(site: Site, request: IncomingMessage, response: ServerResponse, { path, file }: { path: string; file: string }): Promise<void> {
  if (!path.endsWith('/')) {
    const location = `${encodeURI(path)}/${/\?.*/s.exec(request.url ?? '')?.[0] ?? ''}`
    response.writeHead(301, { ...site.headers, 'Location': location, 'Content-Length': 0 })
    return void response.end()
  }
  for (const index of site.index) {
    const handle = await openFile(join(file, index))
    if (typeof handle === 'number') continue
    try {
      return await sendFile(site, request, response, { handle, name: index })
    } finally {
      await handle.close()
    }
  }
  if (!site.listing) return refuse(site, response, 403, path)
  const names = (await readdir(file, { withFileTypes: true })).map(entry => entry.isDirectory() ? `${entry.name}/` : entry.name).sort()
  send(response, 200, { ...site.headers, 'Content-Type': 'text/html; charset=utf-8' }, site.listing(names))
}

async function sendFile(site: Site, request: IncomingMessage, response: ServerResponse, { handle, name }: { handle: FileHandle; name: string }): Promise<void> {
  const { size, mtimeMs } = await handle.stat()
  const modified = new Date(mtimeMs).toUTCString(), tag = site.entityTag(size, mtimeMs)
  const headers = { ...site.headers, 'Last-Modified': modified, ...tag !== undefined && { ETag: tag }, 'Accept-Ranges': 'bytes' }
  if (site.conditional && notModified(request.headers, modified, tag)) {
    response.writeHead(304, headers)
    return void response.end()
  }
  const current = request.headers['if-range'] === undefined || [modified, tag].includes(String(request.headers['if-range']))
  const range = current ? rangeOf(String(request.headers.range ?? ''), size) : undefined
  if (range === 'unsatisfiable') return refuse(site, response, 416, '/', { 'Content-Range': `bytes */${size}` })
  const { start, end } = range ?? { start: 0, end: size - 1 }
  response.setHeader('Content-Length', end - start + 1) // not in writeHead, where the access log would not see it
  response.writeHead(range ? 206 : 200, { ...headers, 'Content-Type': site.typeOf(name),
    ...range && { 'Content-Range': `bytes ${start}-${end}/${size}` } })
  if (request.method === 'HEAD' || size === 0) return void response.end()
  await pipeline(handle.createReadStream({ start, end, autoClose: false }), response)
}

function refuse(site: Site, response: ServerResponse, status: number, path: string, headers: Record<string, string> = {}): void {
  const { body, type } = site.errorPage(status, path)
  send(response, status, { ...site.headers, ...headers, 'Content-Type': type }, body)
}

function send(response: ServerResponse, status: number, headers: Record<string, string>, body: string): void {
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.writeHead(status, headers)
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

function lineOf(request: IncomingMessage, response: ServerResponse): string {
  const length = request.method === 'HEAD' || response.statusCode === 304 ? 0 : Number(response.getHeader('content-length') ?? 0)
  return accessLine({ remote: (request.socket.remoteAddress ?? '-').replace(/^::ffff:(?=\d+\.)/i, ''), now: new Date(), method: request.method ?? '', url: request.url ?? '',
    status: response.statusCode, bytes: length, headers: request.headers })
}
