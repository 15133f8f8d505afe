// A pod from its owner's template (upstream's GetPodFromTemplate).
import type { Pod, PodTemplateSpec } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { controllerReference } from './claim.ts'

/** A pod as it is sent: the server completes its name and metadata. */
export type PodDraft = Omit<Pod, 'metadata'> & { metadata: Partial<Pod['metadata']> }

export function podFromTemplate(owner: KubeObject, template: PodTemplateSpec): PodDraft {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  return {
    apiVersion: 'v1', kind: 'Pod', spec: structuredClone(template.spec),
    metadata: {
      namespace: owner.metadata.namespace, generateName: `${owner.metadata.name}-`,
      ...(labels && { labels: { ...labels } }), ...(annotations && { annotations: { ...annotations } }),
      ...(finalizers && { finalizers: [...finalizers] }), ownerReferences: [controllerReference(owner)],
    },
  }
}
