// What every Kubernetes object has in common, and the small questions asked of any of them.
// Objects that come from the API (a client, an informer, the storage) are shared and frozen:
// whoever changes one copies it first (structuredClone).
import type { LabelSelector, ObjectMeta, OwnerReference } from '#api/meta/v1.ts'

export interface KubeObject { apiVersion?: string; kind?: string; metadata: ObjectMeta }

export interface KubeList<T extends KubeObject = KubeObject> {
  apiVersion?: string
  kind?: string
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number }
  items: T[]
}

/** `namespace/name`, or `name` for a cluster-scoped object: client-go's cache key. */
export const keyOf = (object: KubeObject): string =>
  object.metadata.namespace ? `${object.metadata.namespace}/${object.metadata.name}` : object.metadata.name

export const splitKey = (key: string): { namespace: string | undefined; name: string } => {
  const slash = key.indexOf('/')
  return slash < 0 ? { namespace: undefined, name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The owner that manages the object, as metav1.GetControllerOf. */
export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find(owner => owner.controller)

/** Whether labels satisfy a plain map selector (`spec.selector` of a Service); an empty map selects nothing. */
export const selects = (selector: Record<string, string> | undefined, labels: Record<string, string> | undefined): boolean => {
  const wanted = Object.entries(selector ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value)
}

/** Whether labels satisfy a LabelSelector; an empty selector selects everything, an absent one nothing. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Record<string, string> = {}): boolean {
  if (!selector) return false
  if (!Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)) return false
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const has = Object.hasOwn(labels, key)
    switch (operator) {
      case 'In': return has && values.includes(labels[key]!)
      case 'NotIn': return !has || !values.includes(labels[key]!)
      case 'Exists': return has
      case 'DoesNotExist': return !has
      default: return false
    }
  })
}
