// The port of a pod that a Service port leads to: FindPort of upstream's pkg/apis/core/pods.
import type { Container, Pod, ServicePort } from '#api/core/v1.ts'
import type { Port, Target } from './explanation.ts'

/** Containers that run beside the others: sidecars are init containers that go on (KEP-753). */
const containers = ({ spec }: Pod): Container[] => [...spec.containers, ...(spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always')]

export interface NamedPort { readonly name: string; readonly port: number; readonly protocol: string; readonly container: string }

export const declaredPorts = (pod: Pod): NamedPort[] => containers(pod).flatMap(container => (container.ports ?? []).map(port =>
  ({ name: port.name ?? '', port: port.containerPort, protocol: port.protocol ?? 'TCP', container: container.name })))

/** undefined: the pod names no such port. */
export function targetPort(pod: Pod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target === 0 ? port.port : target
  return declaredPorts(pod).find(declared => declared.name === target && declared.protocol === (port.protocol ?? 'TCP'))?.port
}

/** The Service's ports with the pods grouped by the port that each leads to. */
export const portRows = (ports: readonly ServicePort[], pods: readonly Pod[]): Port[] => ports.map(port => {
  const groups = new Map<number | undefined, string[]>()
  for (const pod of pods) { const target = targetPort(pod, port); groups.set(target, [...groups.get(target) ?? [], pod.metadata.name]) }
  const targets: Target[] = [...groups].map(([target, names]) => ({ ...(target !== undefined && { port: target }), pods: names }))
  return { ...(port.name && { name: port.name }), protocol: port.protocol ?? 'TCP', port: port.port, targetPort: port.targetPort ?? port.port,
    ...(port.nodePort && { nodePort: port.nodePort }), targets }
})
