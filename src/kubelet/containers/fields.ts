// The downward API: what fieldRef and resourceFieldRef name, as text. Pure. Used by the environment
// and by downwardAPI volumes.
import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '#api/core/v1.ts'
import { divideUp, parseQuantity } from '../quantity.ts'

export interface FieldContext {
  readonly podIps: readonly string[]
  readonly hostIps: readonly string[]
  /** The node's allocatable, which stands in for a limit that a container does not set. */
  readonly allocatable: Readonly<Record<string, string>>
}

/** Throws for a field that there is not. */
export function fieldValue(pod: Pod, { fieldPath }: ObjectFieldSelector, context: FieldContext): string {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath)
  if (subscript) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? ''
  switch (fieldPath) {
    case 'metadata.name': return pod.metadata.name
    case 'metadata.namespace': return pod.metadata.namespace ?? ''
    case 'metadata.uid': return pod.metadata.uid ?? ''
    case 'metadata.labels': return formatMap(pod.metadata.labels)
    case 'metadata.annotations': return formatMap(pod.metadata.annotations)
    case 'spec.nodeName': return pod.spec.nodeName ?? ''
    case 'spec.serviceAccountName': return pod.spec.serviceAccountName ?? ''
    case 'status.hostIP': return context.hostIps[0] ?? ''
    case 'status.hostIPs': return context.hostIps.join(',')
    case 'status.podIP': return context.podIps[0] ?? ''
    case 'status.podIPs': return context.podIps.join(',')
    default: throw new Error(`unsupported fieldPath: ${fieldPath}`)
  }
}

/** fieldpath.FormatMap: sorted `key="escaped value"` lines. */
const formatMap = (map: Record<string, string> = {}) =>
  Object.entries(map).toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join('\n')

/** Throws for a resource that there is not. `own` is the container when the selector names none. */
export function resourceValue(pod: Pod, selector: ResourceFieldSelector, own: Container | undefined, context: FieldContext): string {
  const container = selector.containerName
    ? [...pod.spec.initContainers ?? [], ...pod.spec.containers].find(({ name }) => name === selector.containerName) : own
  if (!container) throw new Error(`container ${selector.containerName} not found`)
  const match = /^(limits|requests)\.(.+)$/.exec(selector.resource)
  if (!match) throw new Error(`unsupported container resource : ${selector.resource}`)
  const [, kind, name] = match as unknown as [string, 'limits' | 'requests', string]
  const text = container.resources?.[kind]?.[name] ?? (kind === 'limits' ? context.allocatable[name] : undefined) ?? '0'
  const divisor = selector.divisor && selector.divisor !== '0' ? selector.divisor : '1'
  const value = parseQuantity(text), by = parseQuantity(divisor)
  if (!value || !by) throw new Error(`invalid quantity ${value ? divisor : text}`)
  return String(divideUp(value, by))
}
