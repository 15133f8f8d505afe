// One table of packets: who sends what to whom, and what must become of it under which manifests of
// testdata/. It is run traced through the rules (packets.test.ts) and with real sockets in network
// namespaces (packets.root.test.ts); every proxy mode must pass it.
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { KubeObject } from '#api/object.ts'
import type { Family } from '#net/ip.ts'
import { parseConfigFile, proxyConfig } from './config.ts'
import type { NodeOptions } from './dataplane.ts'
import type { Mode } from './mode.ts'
import { nodeOptions } from './node.ts'
import { desiredPorts, type ProxiedPort } from './state.ts'

export type Machine = 'client' | 'node' | 'pod-a' | 'pod-b' | 'pod-c'

interface Place { readonly addresses: readonly string[]; readonly inputInterface?: string }

/**
 * The network of the table. The proxy under test runs on `node`, which holds pod-a and pod-b, each
 * on a link of its own. pod-c is on another node, the client on neither; both are reached over eth0.
 */
export const network: Readonly<Record<Machine, Place>> = {
  client: { addresses: ['192.168.109.200', 'fd00:109::200'], inputInterface: 'eth0' },
  node: { addresses: ['192.168.109.101', '192.168.109.111', '10.244.1.1', 'fd00:109::101', 'fd00:244:1::1'] },
  'pod-a': { addresses: ['10.244.1.2', 'fd00:244:1::2'], inputInterface: 'veth-a' },
  'pod-b': { addresses: ['10.244.1.3', 'fd00:244:1::3'], inputInterface: 'veth-b' },
  'pod-c': { addresses: ['10.244.2.2', 'fd00:244:2::2'], inputInterface: 'eth0' },
}
export const nodeName = 'k8s-node01'

/** Where pods listen unless a row says otherwise. */
export const podPort = 9376

export interface Expectation {
  readonly verdict: 'endpoint' | 'REJECT' | 'DROP' | 'none'
  /** Each as likely as any other. */
  readonly endpoints: readonly { readonly pod: Machine; readonly port: number; readonly masquerade: boolean }[]
  /** After the first answer, the same client stays with that endpoint. */
  readonly sticky: boolean
}
export interface PacketRow {
  readonly manifest: string
  readonly from: Machine
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly address: string
  readonly port: number
  readonly expect: Expectation
  /** What a mode makes of it that differs: ask `expectationIn`. */
  readonly differs: ReadonlyMap<string, Expectation>
  /** The row as it stands in the table. */
  readonly text: string
}

// manifest | from | protocol address:port | endpoints (* masqueraded, :port other than 9376), REJECT, DROP, or - for "not captured"
// and where modes differ, `| mode mode: ...`
const table = `
hostnames       | pod-a  | tcp 10.96.0.20:80         | pod-a* pod-b pod-c
hostnames       | pod-b  | tcp 10.96.0.20:80         | pod-a pod-b* pod-c
hostnames       | node   | tcp 10.96.0.20:80         | pod-a* pod-b* pod-c*
hostnames       | client | tcp 10.96.0.20:80         | pod-a* pod-b* pod-c*
hostnames       | pod-a  | tcp 10.96.0.21:80         | pod-c
hostnames       | pod-a  | tcp 10.96.0.20:81         | -                      | nftables ipvs: REJECT
hostnames       | client | tcp 10.96.0.20:81         | -                      | nftables ipvs: REJECT
hostnames       | pod-a  | udp 10.96.0.20:80         | -                      | nftables ipvs: REJECT
hostnames       | node   | udp 10.96.0.20:80         | -                      | nftables ipvs: REJECT
nodeport        | client | tcp 192.168.109.101:30007 | pod-a* pod-c*
nodeport        | client | tcp 192.168.109.111:30007 | pod-a* pod-c*
nodeport        | node   | tcp 192.168.109.101:30007 | pod-a* pod-c*
nodeport        | node   | tcp 127.0.0.1:30007       | pod-a* pod-c*          | ipvs: -
nodeport        | pod-a  | tcp 192.168.109.101:30007 | pod-a* pod-c*
nodeport        | pod-b  | tcp 10.244.1.1:30007      | pod-a* pod-c*
nodeport        | pod-b  | tcp 10.96.1.1:80          | pod-a pod-c
nodeport        | client | tcp 192.168.109.101:30008 | pod-c*
nodeport        | client | tcp 192.168.109.101:30009 | -
nodeport        | client | udp 192.168.109.101:30007 | -
multi-port      | pod-b  | tcp 10.96.0.30:80         | pod-a pod-c
multi-port      | pod-b  | tcp 10.96.0.30:443        | pod-a:9377 pod-c:9377
multi-port      | pod-a  | udp 10.96.0.10:53         | pod-b pod-c
multi-port      | pod-b  | udp 10.96.0.10:53         | pod-b* pod-c
multi-port      | pod-a  | tcp 10.96.0.10:53         | pod-b pod-c
multi-port      | node   | udp 10.96.0.10:53         | pod-b* pod-c*
multi-port      | client | udp 192.168.109.101:30053 | pod-b* pod-c*
multi-port      | client | tcp 192.168.109.111:30053 | pod-b* pod-c*
no-endpoints    | pod-a  | tcp 10.96.0.40:80         | REJECT
no-endpoints    | node   | tcp 10.96.0.40:80         | REJECT
no-endpoints    | client | tcp 10.96.0.40:80         | REJECT
no-endpoints    | pod-a  | udp 10.96.0.40:53         | REJECT
no-endpoints    | client | tcp 192.168.109.101:30040 | REJECT
no-endpoints    | pod-b  | tcp 192.168.109.111:30040 | REJECT
no-endpoints    | node   | tcp 127.0.0.1:30040       | REJECT
no-endpoints    | client | udp 192.168.109.101:30041 | REJECT
no-endpoints    | client | tcp 203.0.113.4:80        | REJECT
no-endpoints    | client | tcp 198.51.100.4:80       | REJECT
affinity        | pod-a  | tcp 10.96.1.10:80         | pod-a* pod-b pod-c sticky
affinity        | pod-b  | tcp 10.96.1.10:80         | pod-a pod-b* pod-c sticky
affinity        | client | tcp 192.168.109.101:30010 | pod-a* pod-b* pod-c* sticky
affinity        | node   | tcp 10.96.1.10:80         | pod-a* pod-b* pod-c* sticky
external-local  | client | tcp 192.168.109.101:30050 | pod-a
external-local  | client | tcp 198.51.100.50:80      | pod-a
external-local  | node   | tcp 192.168.109.101:30050 | pod-a* pod-c*
external-local  | pod-b  | tcp 192.168.109.101:30050 | pod-a pod-c
external-local  | pod-a  | tcp 192.168.109.101:30050 | pod-a* pod-c
external-local  | pod-a  | tcp 10.96.0.50:80         | pod-a* pod-c
external-local  | client | tcp 192.168.109.101:30051 | DROP
external-local  | node   | tcp 127.0.0.1:30051       | pod-c*                 | ipvs: -
external-local  | pod-a  | tcp 192.168.109.101:30051 | pod-c
internal-local  | pod-a  | tcp 10.96.0.60:80         | pod-b
internal-local  | pod-b  | tcp 10.96.0.60:80         | pod-b*
internal-local  | node   | tcp 10.96.0.60:80         | pod-b*
internal-local  | client | tcp 10.96.0.60:80         | pod-b*
internal-local  | pod-a  | tcp 10.96.0.61:80         | DROP
internal-local  | node   | tcp 10.96.0.61:80         | DROP
internal-local  | client | tcp 192.168.109.101:30061 | pod-c*
loadbalancer    | client | tcp 198.51.100.70:80      | pod-a*
loadbalancer    | pod-a  | tcp 198.51.100.70:80      | DROP
loadbalancer    | node   | tcp 198.51.100.70:80      | DROP
loadbalancer    | client | tcp 198.51.100.71:80      | -
loadbalancer    | client | tcp 198.51.100.72:80      | DROP
loadbalancer    | node   | tcp 198.51.100.72:80      | pod-a*
loadbalancer    | client | tcp 192.168.109.101:30071 | pod-a*
loadbalancer    | client | tcp 198.51.100.73:80      | pod-c*
loadbalancer    | client | tcp 203.0.113.72:80       | pod-c*
draining        | pod-b  | tcp 10.96.0.80:80         | pod-a
draining        | pod-b  | tcp 10.96.0.81:80         | pod-c
draining        | client | tcp 192.168.109.101:30081 | pod-a
draining        | node   | tcp 192.168.109.101:30081 | pod-c*
topology        | pod-b  | tcp 10.96.0.90:80         | pod-a
topology        | pod-a  | tcp 10.96.0.91:80         | pod-b
topology        | pod-b  | tcp 10.96.0.92:80         | pod-a pod-c
topology        | pod-b  | tcp 10.96.0.93:80         | REJECT
topology        | pod-a  | tcp 10.96.0.94:80         | pod-b
not-proxied     | pod-b  | tcp 10.96.0.99:80         | -
sctp            | pod-b  | sctp 10.96.0.110:2905     | pod-a:2905
settings        | pod-a  | tcp 10.96.0.120:80        | pod-a*
settings        | pod-b  | tcp 10.96.0.120:80        | pod-a*
settings        | client | tcp 192.168.109.101:30120 | pod-a*
settings        | client | tcp 192.168.109.111:30120 | -
settings        | node   | tcp 127.0.0.1:30120       | -
local-interface | client | tcp 192.168.109.101:30130 | pod-b
local-interface | client | tcp 10.96.0.130:80        | pod-b* pod-c*
local-interface | pod-a  | tcp 192.168.109.101:30130 | pod-b pod-c
local-interface | pod-a  | tcp 10.96.0.130:80        | pod-b pod-c
local-interface | node   | tcp 10.96.0.130:80        | pod-b* pod-c*
dual-stack      | pod-b  | tcp 10.96.0.100:80        | pod-a
dual-stack      | pod-a  | tcp [fd00:96::100]:80     | pod-a* pod-b
dual-stack      | node   | tcp [fd00:96::100]:80     | pod-a* pod-b*
dual-stack      | client | tcp [fd00:109::101]:30100 | pod-a* pod-b*
dual-stack      | node   | tcp [::1]:30100           | -
dual-stack      | pod-a  | tcp [fd00:96::101]:80     | REJECT
`

export const packets: readonly PacketRow[] = table.trim().split('\n').map(text => {
  const [manifest, from, to, expected, ...other] = text.split('|').map(part => part.trim()) as [string, Machine, string, string, ...string[]]
  const differs = new Map(other.flatMap(part => {
    const [modes, what] = part.split(': ') as [string, string]
    return modes.split(' ').map(mode => [mode, expectation(what)] as const)
  }))
  const [, protocol, address, port] = /^(\w+) \[?([^\]]+?)\]?:(\d+)$/.exec(to)!
  return { manifest, from, protocol: protocol as PacketRow['protocol'], address: address!, port: Number(port), expect: expectation(expected), differs, text: text.replace(/\s+/g, ' ') }
})

export const expectationIn = (row: PacketRow, mode: Mode): Expectation => row.differs.get(mode) ?? row.expect

function expectation(text: string): Expectation {
  if (text === 'REJECT' || text === 'DROP') return { verdict: text, endpoints: [], sticky: false }
  if (text === '-') return { verdict: 'none', endpoints: [], sticky: false }
  const words = text.split(' ').filter(word => word !== 'sticky')
  const endpoints = words.map(word => {
    const [, pod, port = podPort, masquerade] = /^([\w-]+)(?::(\d+))?(\*?)$/.exec(word)!
    return { pod: pod as Machine, port: Number(port), masquerade: masquerade === '*' }
  })
  return { verdict: 'endpoint', endpoints, sticky: text.endsWith('sticky') }
}

export const familyOf = (row: PacketRow): Family => row.address.includes(':') ? 6 : 4
export const addressOf = (machine: Machine, family: Family): string =>
  network[machine].addresses.find(address => address.includes(':') === (family === 6))!

/** The state and options that a manifest's documents describe, for the proxy on `node`. */
export function manifestState(documents: readonly unknown[], family: Family): { ports: readonly ProxiedPort[]; options: NodeOptions } {
  const objects = documents as KubeObject[]
  const ofKind = <T>(kind: string) => objects.filter(object => object.kind === kind) as T[]
  const settings = ofKind('KubeProxyConfiguration')[0]
  const config = proxyConfig(new Map([['clusterCIDR', '10.244.0.0/16,fd00:244::/32'], ...settings ? parseConfigFile(settings, 'manifest') : []]), new Map())
  const nodes = ofKind<Node>('Node')
  const node: Node = { ...nodes.find(found => found.metadata.name === nodeName) ?? { metadata: { name: nodeName } } as Node,
    status: { addresses: ['192.168.109.101', 'fd00:109::101'].map(address => ({ type: 'InternalIP', address })) } }
  return {
    ports: desiredPorts({ services: ofKind<Service>('Service'), slices: ofKind<EndpointSlice>('EndpointSlice'), nodes }, { nodeName, family }),
    options: nodeOptions(config, { family, node, machine: ['127.0.0.1', '::1', ...network.node.addresses] }),
  }
}
