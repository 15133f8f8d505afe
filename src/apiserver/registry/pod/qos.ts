// A pod's quality of service class from its resources (pkg/apis/core/helper/qos ComputePodQOS).
import type { PodSpec } from '#api/core/v1.ts'
import { parseQuantity } from '#api/quantity.ts'

const counted = ['cpu', 'memory']

export function qosClass(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const requests = new Map<string, bigint>(), limits = new Map<string, bigint>()
  let everyLimited = true
  const add = (sums: Map<string, bigint>, list: Record<string, string> | undefined) => {
    const used = counted.map(name => [name, parseQuantity(list?.[name] ?? '0')?.nanos ?? 0n] as const).filter(([, nanos]) => nanos > 0n)
    for (const [name, nanos] of used) sums.set(name, (sums.get(name) ?? 0n) + nanos)
    return used.length
  }
  const parts = spec.resources?.requests || spec.resources?.limits ? [spec] : [...spec.initContainers ?? [], ...spec.containers ?? []]
  for (const { resources } of parts) {
    add(requests, resources?.requests)
    if (add(limits, resources?.limits) < counted.length) everyLimited = false
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort'
  const same = [...requests].every(([name, sum]) => limits.get(name) === sum)
  return everyLimited && same && requests.size === limits.size ? 'Guaranteed' : 'Burstable'
}
