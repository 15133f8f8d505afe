// The shapes of `fairway explain`: what goes in (objects and what was seen on this machine) and what
// comes out, which is what -o json prints. No behaviour.
import type { DaemonSet, Deployment, StatefulSet } from '#api/apps/v1.ts'
import type { ConfigMap, Endpoints, Event, Node, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'

export type Workload = Deployment | StatefulSet | DaemonSet

/** Everything read from the API. A list that could not be read is absent. */
export interface Objects {
  readonly service: Service
  /** Of all namespaces where that may be read, else of the Service's. */
  readonly pods: readonly Pod[]
  /** The Service's own. */
  readonly slices: readonly EndpointSlice[]
  readonly endpoints?: Endpoints
  readonly nodes?: readonly Node[]
  readonly events: readonly Event[]
  readonly workloads: readonly Workload[]
  /** kube-system/kube-proxy. */
  readonly proxyConfig?: ConfigMap
}

export interface Socket { readonly protocol: 'TCP' | 'UDP'; readonly ip: string; readonly port: number }

export interface Observations {
  /** RFC 3339. */
  readonly now: string
  /** The cluster is one that Fairway runs here; `flags` are what its commands need to find it (` --name x`). */
  readonly own?: { readonly flags: string }
  /** The listening sockets of the machine or pod that holds an address. */
  readonly sockets: Readonly<Record<string, readonly Socket[]>>
  /** What could not be looked at, as sentences. */
  readonly notLookedAt: readonly string[]
}

export interface Finding {
  /** error: something does not work. warning: it works, but not all of it or not for everyone. note: worth knowing. */
  readonly severity: 'error' | 'warning' | 'note'
  readonly what: string
  readonly why: readonly string[]
  /** A command line, or several lines. */
  readonly command?: string
}

/** Whether one address answers on one node. */
export interface NodeAddress { readonly node: string; readonly address: string; readonly answers: boolean; readonly why?: string }

export interface Address {
  readonly kind: 'cluster IP' | 'node port' | 'external IP' | 'load balancer' | 'external name' | 'headless'
  readonly value: string
  readonly comment?: string
  /** Of a node port. */
  readonly nodes?: readonly NodeAddress[]
}

/** The port of the pods that a Service port leads to; the pods are grouped by it. */
export interface Target { readonly port?: number; readonly pods: readonly string[] }

export interface Port {
  readonly name?: string
  readonly protocol: string
  readonly port: number
  readonly targetPort: number | string
  readonly nodePort?: number
  readonly targets: readonly Target[]
}

export interface Use { readonly used: boolean; readonly nodes: readonly string[]; readonly why?: string }

export interface EndpointRow {
  readonly pod?: string
  readonly node?: string
  /** Absent while a pod has none. */
  readonly ip?: string
  readonly ports: readonly number[]
  readonly ready: boolean
  /** From which nodes packets to the Service's cluster address reach it; of a headless Service, whether DNS names it. */
  readonly inside: readonly Use[]
  /** The same for node ports and external addresses, where it differs. */
  readonly outside?: readonly Use[]
  /** When it stopped to be ready. */
  readonly since?: string
  /** Packets reach it and nothing takes them. */
  readonly problem?: string
}

export interface Explanation {
  readonly namespace: string
  readonly name: string
  readonly type: string
  readonly works: boolean
  readonly summary: string
  readonly selector?: Readonly<Record<string, string>>
  /** What is unusual about it, as sentences. */
  readonly settings: readonly string[]
  readonly addresses: readonly Address[]
  readonly ports: readonly Port[]
  readonly endpoints: readonly EndpointRow[]
  /** The first broken step of a packet's way first. */
  readonly findings: readonly Finding[]
  readonly notLookedAt: readonly string[]
  readonly tryIt: readonly string[]
  /** When it was looked at. */
  readonly at: string
}
