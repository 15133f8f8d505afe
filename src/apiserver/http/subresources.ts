// The subresources that only one kind has: bindings, evictions and streams of pods, tokens of accounts.
import type { TokenRequest } from '#api/authentication/v1.ts'
import type { DeleteOptions } from '#api/meta/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { bind, type Binding } from '../kubelet/binding.ts'
import { execTarget, logTarget } from '../kubelet/target.ts'
import { deleteObject } from '../rest/delete.ts'
import { badRequest, methodNotSupported } from '../rest/errors.ts'
import { rawObject } from './answer.ts'
import { decodeObject } from './body.ts'
import { dryRunOf } from './options.ts'
import { textResponse, type Request, type Response } from './request.ts'
import type { Call } from './verbs.ts'

type Serve = (call: Call) => Promise<Response>

const served: Readonly<Record<string, { readonly verbs: readonly string[]; readonly serve: Serve }>> = {
  'pods/binding': { verbs: ['create'], serve: binding },
  'pods/eviction': { verbs: ['create'], serve: eviction },
  'pods/log': { verbs: ['get'], serve: async call => log(call) },
  'pods/exec': { verbs: ['get', 'create'], serve: async call => stream(call) },
  'pods/attach': { verbs: ['get', 'create'], serve: async call => stream(call) },
  'serviceaccounts/token': { verbs: ['create'], serve: token },
}

/** Undefined when the generic verbs serve the URL. */
export async function serveSubresource(call: Call): Promise<Response | undefined> {
  const { info, store } = call
  const found = info.subresource ? served[`${info.resource}/${info.subresource}`] : undefined
  if (!found) return undefined
  if (!found.verbs.includes(info.verb)) throw methodNotSupported(store.resource, info.verb)
  return found.serve(call)
}

const success = (request: Request): Response =>
  rawObject(request, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201)

/** The body names what the URL names, or leaves it out. */
function checkName(body: KubeObject, name: string): void {
  if (body.metadata.name && body.metadata.name !== name) throw badRequest(`name in URL does not match name in ${body.kind} object`)
}

async function binding(call: Call): Promise<Response> {
  const { request, info, store, warn } = call
  const body = decodeObject(request, { apiVersion: 'v1', kind: 'Binding' }, warn) as unknown as Binding
  checkName(body, info.name)
  await store.update(info.namespace, info.name, old => bind(store.resource, old, body, store.context({ user: '' }).now),
    { user: request.user.name, dryRun: dryRunOf(request.query, 'CreateOptions'), subresource: 'binding' })
  return success(request)
}

async function eviction(call: Call): Promise<Response> {
  const { request, info, store, warn } = call
  const body = decodeObject(request, { apiVersion: 'policy/v1', kind: 'Eviction' }, warn) as KubeObject & { deleteOptions?: DeleteOptions }
  checkName(body, info.name)
  const dryRun = dryRunOf(request.query, 'CreateOptions', body.deleteOptions?.dryRun)
  await deleteObject(store, { namespace: info.namespace, name: info.name }, body.deleteOptions ?? {}, { user: request.user.name, dryRun })
  return success(request)
}

async function token(call: Call): Promise<Response> {
  const { api, request, info, store, warn } = call
  const account = store.get(info.namespace, info.name)
  const body = decodeObject(request, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' }, warn) as KubeObject as TokenRequest
  checkName(body as KubeObject, info.name)
  return rawObject(request, api.tokens.issue(account, { ...body, spec: body.spec ?? {} }), 201)
}

function log({ api, request, info, store }: Call): Response {
  const target = logTarget(store.get(info.namespace, info.name), request.query, api.backend.storage)
  // A pod that no node has yet has logged nothing.
  return target ? { status: 200, headers: { 'content-type': 'text/plain' }, body: { type: 'kubelet', target } } : textResponse('')
}

function stream({ api, request, info, store }: Call): Response {
  const kind = info.subresource as 'exec' | 'attach'
  // A WebSocket begins with GET, but what it does needs the right to POST (upstream's gate
  // AuthorizePodWebsocketUpgradeCreatePermission).
  if (info.verb === 'get') api.authorizer.check(request.user, { ...info, verb: 'create' })
  const target = execTarget(kind, store.get(info.namespace, info.name), { query: request.query, storage: api.backend.storage })
  if (!request.headers.upgrade) throw badRequest('Upgrade request required')
  return { status: 101, headers: {}, body: { type: 'kubelet', target } }
}
