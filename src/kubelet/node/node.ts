// The Node object that a kubelet keeps: its labels, what it offers, and its conditions. Pure: facts
// about the machine come in as values.
import type { Node, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'
import type { NodeSettings } from '../config.ts'

export interface MachineFacts {
  readonly cpus: number
  readonly memoryBytes: number
  readonly diskBytes: number
  /** Go's names: `amd64`, `arm64`. */
  readonly architecture: string
  readonly kernelVersion: string
  readonly osImage: string
  readonly machineId: string
  readonly bootId: string
  readonly fairwayVersion: string
}

/** Fairway serves this version of the Kubernetes API; kubectl compares it with its own. */
export const kubeletVersion = 'v1.36.3'
export const kubeletPort = 10250
const maxPods = 110

export const nodeLabels = (settings: NodeSettings, facts: MachineFacts): Record<string, string> => ({
  'beta.kubernetes.io/arch': facts.architecture, 'beta.kubernetes.io/os': 'linux',
  'kubernetes.io/arch': facts.architecture, 'kubernetes.io/hostname': settings.name, 'kubernetes.io/os': 'linux',
  ...settings.labels,
})

export const newNode = (settings: NodeSettings, facts: MachineFacts): Pick<Node, 'apiVersion' | 'kind' | 'metadata' | 'spec'> => ({
  apiVersion: 'v1', kind: 'Node',
  metadata: { name: settings.name, labels: nodeLabels(settings, facts), annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } },
  spec: nodeSpec(settings),
})

export const nodeSpec = (settings: NodeSettings): NodeSpec => ({
  podCIDR: settings.podCidr, podCIDRs: [settings.podCidr],
  ...(settings.taints.length && { taints: settings.taints.map(taint => ({ ...taint })) }),
})

export const capacity = (facts: MachineFacts): Record<string, string> => ({
  cpu: String(facts.cpus), 'ephemeral-storage': `${Math.floor(facts.diskBytes / 1024)}Ki`,
  'hugepages-1Gi': '0', 'hugepages-2Mi': '0', memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`, pods: String(maxPods),
})

/** `unhealthy` is why the node is not ready, if it is not. */
export function nodeStatus(settings: NodeSettings, facts: MachineFacts, { now, previous, unhealthy }: { now: number; previous?: NodeStatus; unhealthy?: string }): NodeStatus {
  return {
    addresses: [{ type: 'InternalIP', address: settings.internalIp }, { type: 'Hostname', address: settings.name }],
    // Nothing is set aside for the system: all nodes of a cluster share this one machine anyway.
    capacity: capacity(facts), allocatable: capacity(facts),
    conditions: conditions(now, previous?.conditions ?? [], unhealthy),
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    nodeInfo: systemInfo(facts),
  }
}

function conditions(now: number, previous: readonly NodeCondition[], unhealthy: string | undefined): NodeCondition[] {
  const own: [string, boolean, string, string][] = [
    ['MemoryPressure', false, 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ['DiskPressure', false, 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ['PIDPressure', false, 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    unhealthy ? ['Ready', false, 'KubeletNotReady', unhealthy] : ['Ready', true, 'KubeletReady', 'kubelet is posting ready status'],
  ]
  return own.map(([type, value, reason, message]) => {
    const status = value ? 'True' : 'False'
    const before = previous.find(condition => condition.type === type)
    return { type, status, lastHeartbeatTime: time(now), lastTransitionTime: before?.status === status ? before.lastTransitionTime ?? time(now) : time(now), reason, message }
  })
}

const systemInfo = (facts: MachineFacts): NodeSystemInfo => ({
  machineID: facts.machineId, systemUUID: facts.machineId, bootID: facts.bootId, kernelVersion: facts.kernelVersion, osImage: facts.osImage,
  containerRuntimeVersion: `fairway://${facts.fairwayVersion}`, kubeletVersion, kubeProxyVersion: '', operatingSystem: 'linux', architecture: facts.architecture,
})

/** The pod ranges of all other nodes and where they are: those of this machine by configuration, others by their objects. */
export function peersOf(configured: readonly NodeSettings[], nodes: readonly Node[], own: string): { nodeIp: string; podCidr: string }[] {
  const peers = new Map(configured.map(({ name, internalIp, podCidr }) => [name, { nodeIp: internalIp, podCidr }]))
  for (const { metadata, spec, status } of nodes) {
    const nodeIp = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address
    if (nodeIp && spec.podCIDR) peers.set(metadata.name, { nodeIp, podCidr: spec.podCIDR })
  }
  peers.delete(own)
  return [...peers].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, peer]) => peer)
}
