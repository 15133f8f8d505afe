// A workload's pod template: a pod spec with labels, before any pod exists. Unlike a pod it may not
// carry what only running pods have.
import type { PodTemplateSpec } from '#api/core/v1.ts'
import { forbidden, required } from '../fields.ts'
import { validateAnnotations, validateLabels } from '../labels.ts'
import type { FieldError } from '../strategy.ts'
import { defaultPodSpec } from './defaults.ts'
import { validatePodSpec } from './validation.ts'

export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (!template) return
  template.metadata ??= {} as NonNullable<PodTemplateSpec['metadata']>
  if (template.spec) defaultPodSpec(template.spec)
}

export function validatePodTemplate(template: PodTemplateSpec, path: string): FieldError[] {
  if (!template.spec) return [required(`${path}.spec.containers`)]
  return [
    ...validateLabels(template.metadata?.labels, `${path}.labels`),
    ...validateAnnotations(template.metadata?.annotations, `${path}.annotations`),
    ...validatePodSpec(template.spec, `${path}.spec`),
    ...(template.spec.ephemeralContainers?.length
      ? [forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')] : []),
  ]
}
