// The kind and verbs of each subresource, as discovery lists them.
import type { Resource } from '#api/resources.ts'

export interface SubresourceFacts {
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string }
  readonly verbs: readonly string[]
}

const readWrite = ['get', 'patch', 'update']
const facts: Readonly<Record<string, readonly [group: string, version: string, kind: string, verbs: readonly string[]]>> = {
  scale: ['autoscaling', 'v1', 'Scale', readWrite],
  exec: ['', 'v1', 'PodExecOptions', ['create', 'get']],
  attach: ['', 'v1', 'PodAttachOptions', ['create', 'get']],
  binding: ['', 'v1', 'Binding', ['create']],
  eviction: ['policy', 'v1', 'Eviction', ['create']],
  token: ['authentication.k8s.io', 'v1', 'TokenRequest', ['create']],
}

export function subresourceFacts({ group, version, kind }: Resource, name: string): SubresourceFacts {
  const own = facts[name]
  if (own) return { responseKind: { group: own[0], version: own[1], kind: own[2] }, verbs: own[3] }
  return { responseKind: { group, version, kind }, verbs: name === 'log' ? ['get'] : name === 'finalize' ? ['update'] : readWrite }
}
