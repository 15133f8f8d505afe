// What is allowed in a pod and probably not meant (pkg/api/pod/warnings.go).
import type { PodSpec } from '#api/core/v1.ts'

const oldLabels: Record<string, string> = {
  'beta.kubernetes.io/arch': 'kubernetes.io/arch', 'beta.kubernetes.io/os': 'kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
}

export function warnings(spec: PodSpec, path = 'spec'): string[] {
  const found = Object.keys(spec.nodeSelector ?? {}).filter(key => oldLabels[key])
    .map(key => `${path}.nodeSelector[${key}]: deprecated since v1.14; use "${oldLabels[key]}" instead`)
  for (const [list, containers] of [['initContainers', spec.initContainers], ['containers', spec.containers]] as const) {
    for (const [index, container] of (containers ?? []).entries()) {
      const seen = new Set<string>()
      for (const [position, { name }] of (container.env ?? []).entries()) {
        if (seen.has(name)) found.push(`${path}.${list}[${index}].env[${position}]: hides previous definition of "${name}", which may be dropped when using apply`)
        seen.add(name)
      }
    }
  }
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) found.push(`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`)
  return found
}
