// Which config maps and secrets a pod refers to: those are the ones its kubelet watches. Pure.
import type { Pod } from '#api/core/v1.ts'

export interface Reference { readonly kind: 'configmaps' | 'secrets'; readonly name: string }

export function references(pod: Pod): Reference[] {
  const { spec } = pod
  const found = new Map<string, Reference>()
  const add = (kind: Reference['kind'], name: string | undefined) => { if (name) found.set(`${kind}/${name}`, { kind, name }) }
  for (const { name } of spec.imagePullSecrets ?? []) add('secrets', name)
  for (const container of [...spec.initContainers ?? [], ...spec.containers]) {
    for (const from of container.envFrom ?? []) { add('configmaps', from.configMapRef?.name); add('secrets', from.secretRef?.name) }
    for (const { valueFrom } of container.env ?? []) { add('configmaps', valueFrom?.configMapKeyRef?.name); add('secrets', valueFrom?.secretKeyRef?.name) }
  }
  for (const volume of spec.volumes ?? []) {
    add('configmaps', volume.configMap?.name)
    add('secrets', volume.secret?.secretName)
    for (const source of volume.projected?.sources ?? []) { add('configmaps', source.configMap?.name); add('secrets', source.secret?.name) }
  }
  return [...found.values()]
}
