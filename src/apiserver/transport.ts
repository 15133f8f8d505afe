// The Transport into a server of the same process: requests become calls of the handler, answers are the
// stored objects themselves. What JSON would drop or change is dropped or changed here too.
import type { ApiRequest, Transport, WatchEvent } from '#client/transport.ts'
import { StatusError, type Status } from '#lib/errors.ts'
import type { KubeletTarget, Request, Response, User } from './http/request.ts'
import type { WatchEvent as ServedEvent } from './rest/watch.ts'

type Serve = (request: Request) => Promise<Response>
type Get = (target: KubeletTarget, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>

// A consumer that falls this far behind has stopped consuming: its watch ends and it lists again.
const maxQueued = 100_000

export function transport(user: User, serve: Serve, get: Get): Transport {
  const call = async (request: ApiRequest): Promise<Response> => {
    request.signal?.throwIfAborted()
    const response = await serve(requestOf(request, user))
    if (response.status < 400) return response
    throw errorOf(response)
  }
  return {
    async request(request) {
      const { body } = await call(request)
      return body.type === 'object' || body.type === 'text' ? body.value : undefined
    },
    async *watch(request) {
      const { body } = await call(request)
      if (body.type !== 'watch') throw new StatusError(400, 'BadRequest', `${request.path} was not asked to watch: the query needs watch=true`)
      yield* events(sink => body.watch.start(sink), request.signal) as AsyncIterable<WatchEvent>
    },
    async *stream(request) {
      const { body } = await call(request)
      if (body.type === 'kubelet') yield* get(body.target, request.signal)
      else if (body.type !== 'watch') yield Buffer.from(body.type === 'text' ? body.value : JSON.stringify(body.value))
    },
    close() {},
  }
}

function requestOf({ method, path, query = {}, body, contentType }: ApiRequest, user: User): Request {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.append(name, value)
  return { method, path, query: parameters, user, headers: contentType ? { 'content-type': contentType } : {},
    ...(body !== undefined && { body: { value: JSON.parse(JSON.stringify(body)) as unknown } }) }
}

function errorOf({ status, body }: Response): StatusError {
  if (body.type === 'object') return StatusError.from(body.value as Status)
  return status === 404 ? new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    : new StatusError(status, 'Unknown', body.type === 'text' ? body.value.trim() : `the server answered ${status}`)
}

type Start = (sink: { event(event: ServedEvent): void; end(): void }) => () => void

async function* events(start: Start, signal: AbortSignal | undefined): AsyncGenerator<ServedEvent> {
  let queue: ServedEvent[] = []
  let ended = signal?.aborted ?? false
  let wake = () => {}
  const end = () => { ended = true; wake() }
  const stop = start({ event(event) { if (queue.push(event) > maxQueued) end(); wake() }, end })
  signal?.addEventListener('abort', end, { once: true })
  try {
    for (;;) {
      const batch = queue
      queue = []
      for (const event of batch) {
        if (signal?.aborted) return
        yield event
      }
      if (ended && queue.length === 0) return
      if (queue.length === 0) await new Promise<void>(resolve => { wake = resolve })
    }
  } finally {
    stop()
    signal?.removeEventListener('abort', end)
  }
}
