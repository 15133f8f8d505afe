// From a request to its answer: who may do it (RBAC), what it is about, and Status bodies for all that
// goes wrong. Authentication is done before; sockets are not known here.
import { StatusError, type Status } from '#lib/errors.ts'
import { impersonated } from '../authn/impersonation.ts'
import { discover } from '../discovery/discovery.ts'
import { internal } from '../rest/errors.ts'
import type { Api } from './api.ts'
import { rawObject } from './answer.ts'
import { health } from './health.ts'
import { objectResponse, textResponse, type Request, type Response } from './request.ts'
import { requestInfo, type RequestInfo } from './requestinfo.ts'
import { serveReview } from './reviews.ts'
import { serveSubresource } from './subresources.ts'
import { serveVerb } from './verbs.ts'

export const statusResponse = (status: Status): Response => {
  const retry = status.details?.retryAfterSeconds
  const response = objectResponse(status, status.code)
  return retry ? { ...response, headers: { 'retry-after': String(retry) } } : response
}

/** Go's http.NotFound, which upstream's mux answers for a path that nobody serves. */
const pathNotFound = textResponse('404 page not found\n', 404)

/** Never throws; `report` gets what was not the client's fault. */
export async function handle(api: Api, request: Request, report: (error: unknown) => void): Promise<Response> {
  const warnings = new Set<string>()
  try {
    const info = requestInfo(request.method, request.path, request.query)
    if (!info) return textResponse('400 Bad Request\n', 400)
    const user = impersonated(request, api.authorizer)
    const response = await route(api, { ...request, user }, info, text => warnings.add(text))
    return warnings.size === 0 ? response : { ...response, headers: { ...response.headers, warning: [...warnings].map(warning) } }
  } catch (error) {
    if (error instanceof StatusError) return statusResponse(error.status)
    report(error)
    return statusResponse(internal((error as Error).message).status)
  }
}

const warning = (text: string): string => `299 - ${JSON.stringify(text.replaceAll(/[\x00-\x1f\x7f]/g, ' ').slice(0, 512))}`

async function route(api: Api, request: Request, info: RequestInfo, warn: (text: string) => void): Promise<Response> {
  api.authorizer.check(request.user, info)
  if (!info.isResource) return nonResource(api, request, info)
  const store = api.stores.get(info.group, info.version, info.resource)
  if (store?.strategy.deprecation) warn(store.strategy.deprecation)
  if (store) return (await serveSubresource({ api, store, request, info, warn })) ?? serveVerb({ api, store, request, info, warn })
  return (await serveReview(api, request, info)) ?? pathNotFound
}

function nonResource(api: Api, request: Request, info: RequestInfo): Response {
  if (info.verb !== 'get' && info.verb !== 'head') return textResponse('405: Method Not Allowed\n', 405)
  const found = health(api, request) ?? discover(api, request)
  if (!found) return pathNotFound
  return 'body' in found ? found as Response : rawObject(request, found)
}
