// Metadata that the server alone decides: uid, generation, timestamps, generated names.
import type { KubeObject } from '#api/object.ts'
import type { Resource } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { time } from '#lib/clock.ts'
import { badRequest, conflict } from './errors.ts'

/** What a draft may look like before the server has filled it in. */
export type Content = KubeObject & { spec?: unknown; status?: unknown }

// Upstream's strategies of the other kinds never touch metadata.generation.
const counted = new Set(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Pod', 'EndpointSlice'])
const hasGeneration = (resource: Resource) => counted.has(resource.kind)

/** FillObjectMetaSystemFields, and what a client may not set. */
export function initialise(draft: Content, resource: Resource, { uid, now, name }: { uid: string; now: number; name: string }): void {
  const { resourceVersion, managedFields, selfLink, deletionTimestamp, deletionGracePeriodSeconds, generation, ...metadata } = draft.metadata
  draft.metadata = { ...metadata, name, uid, creationTimestamp: time(now), ...(hasGeneration(resource) && { generation: 1 }) }
  if (!resource.namespaced) delete draft.metadata.namespace
}

/** What an update cannot change comes from the old object; a uid that differs means another object. */
export function carryOver(draft: Content, old: Content, resource: Resource): void {
  const { uid } = draft.metadata
  if (uid && uid !== old.metadata.uid) {
    throw conflict(resource, old.metadata.name, `StorageError: invalid object, Code: 4, Key: ${old.metadata.name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`)
  }
  const { managedFields, selfLink, ...metadata } = draft.metadata
  const kept = old.metadata
  draft.metadata = { ...metadata, name: kept.name, uid: kept.uid!, creationTimestamp: kept.creationTimestamp!, resourceVersion: kept.resourceVersion! }
  for (const field of ['namespace', 'generateName', 'generation', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if (kept[field] === undefined) delete draft.metadata[field]
    else Object.assign(draft.metadata, { [field]: kept[field] })
  }
}

/** Counts the generation up when what it counts has changed. */
export function countGeneration(draft: Content, old: Content, resource: Resource): void {
  if (!hasGeneration(resource)) return
  const counts = ({ apiVersion, kind, metadata, status, ...rest }: Content) => resource.kind === 'EndpointSlice' ? { ...rest, labels: metadata.labels } : rest.spec
  if (!equal(counts(draft), counts(old))) draft.metadata.generation = (old.metadata.generation ?? 0) + 1
}

/** The names of body and URL must agree; what the body leaves out is filled in. */
export function placeInNamespace(draft: Content, resource: Resource, namespace: string | undefined): void {
  if (!resource.namespaced) return
  if (draft.metadata.namespace && draft.metadata.namespace !== namespace) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
  }
  draft.metadata.namespace = namespace!
}

export function nameAsInUrl(draft: Content, name: string): void {
  if (draft.metadata.name && draft.metadata.name !== name) {
    throw badRequest(`the name of the object (${draft.metadata.name}) does not match the name on the URL (${name})`)
  }
  draft.metadata.name = name
}

// names.SimpleNameGenerator: 63 characters in all, five of them random.
const maxBase = 58
export const generatedName = (base: string, suffix: string): string => base.slice(0, maxBase) + suffix
