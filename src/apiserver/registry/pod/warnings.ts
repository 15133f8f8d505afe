// What is allowed in a pod and probably not meant (pkg/api/pod/warnings.go GetWarningsForPodTemplate), for
// pods and for workloads' templates.
import type { Container, PodSpec } from '#api/core/v1.ts'
import { parseQuantity } from '#api/quantity.ts'
import { dns1123Label } from '../names.ts'

const newLabel: Record<string, string> = {
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
}

export function specWarnings(spec: PodSpec, path: string): string[] {
  return [
    ...Object.keys(spec.nodeSelector ?? {}).filter(key => newLabel[key])
      .map(key => `${path}.nodeSelector[${key}]: deprecated since v1.14; use "${newLabel[key]}" instead`),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, index) => name ? [] : [`${path}.imagePullSecrets[${index}].name: invalid empty name ""`]),
    ...(['initContainers', 'containers'] as const).flatMap(list => (spec[list] ?? []).flatMap((container, index) =>
      containerWarnings(container, `${path}.${list}[${index}]`))),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0
      ? [`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`] : []),
  ]
}

function containerWarnings({ env, ports, resources }: Container, path: string): string[] {
  return [
    ...(['limits', 'requests'] as const).flatMap(kind => ['memory', 'ephemeral-storage'].filter(name => isFractional(resources?.[kind]?.[name]))
      .map(name => `${path}.resources.${kind}[${name}]: fractional byte value ${JSON.stringify(resources![kind]![name])} is invalid, must be an integer`)),
    ...repeated(env, variable => variable.name, (name, index) =>
      `${path}.env[${index}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`),
    ...repeated(ports, port => `${port.containerPort}/${port.protocol}`, (_, index, first) =>
      `${path}.ports[${index}]: duplicate port definition with ${path}.ports[${first}]`),
  ]
}

const isFractional = (text: string | undefined) => text !== undefined && (parseQuantity(text)?.nanos ?? 0n) % 1_000_000_000n !== 0n

function repeated<T>(items: readonly T[] | undefined, key: (item: T) => string, say: (key: string, index: number, first: number) => string): string[] {
  const first = new Map<string, number>()
  return (items ?? []).flatMap((item, index) => {
    const value = key(item), before = first.get(value)
    if (before !== undefined) return [say(value, index, before)]
    first.set(value, index)
    return []
  })
}

/** A name with dots, or of more than 63 characters, is no host name as it stands. */
export function nameWarnings(name: string, use: "the Pod's hostname" | 'Pod names and hostnames'): string[] {
  const errors = dns1123Label(name)
  return errors.length === 0 ? []
    : [`metadata.name: this is used in ${use}, which can result in surprising behavior; a DNS label is recommended: [${errors.join(' ')}]`]
}
