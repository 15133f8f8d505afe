// CategorizeEndpoints, in a small notation. An endpoint is written NAME[@node][:zone hints][/node hints][flags]
// with flags: ! not ready, ~ terminating but serving. We are node n1 in zone a; n1 and n2 are in region r.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from './endpoints.ts'
import type { ServicePort } from './services.ts'
import { chooseEndpoints, type NodeTopology } from './topology.ts'

const endpoint = (text: string): Endpoint => {
  const [, name, node = 'n9', zones = '', nodes = '', flags] = /^(\w+)(?:@(\w+))?(?::([\w,]*))?(?:\/([\w,]*))?([!~]?)$/.exec(text)!
  return { ip: name!, port: 80, address: name!, nodeName: node, isLocal: node === 'n1', ready: flags === '', serving: flags !== '!', terminating: flags === '~',
    zoneHints: zones.split(',').filter(Boolean), nodeHints: nodes.split(',').filter(Boolean) }
}
const port = (policies: string): ServicePort => ({ id: 'ns/s', service: 'ns/s', portName: '', protocol: 'TCP', family: 4, clusterIP: '10.96.0.1', port: 80,
  nodePort: policies.split(' ').includes('external') ? 30000 : 0, externalIPs: [], loadBalancerIPs: [], loadBalancerSourceRanges: [], affinitySeconds: 0, healthCheckNodePort: 0,
  internalPolicyLocal: policies.includes('internalLocal'), externalPolicyLocal: policies.includes('externalLocal'),
  topologyKeys: /keys=(\S+)/.exec(policies)?.[1]?.split(',') ?? [] })

const labels: Record<string, Record<string, string>> = {
  n1: { host: 'n1', 'topology.kubernetes.io/zone': 'a', region: 'r' }, n2: { host: 'n2', 'topology.kubernetes.io/zone': 'b', region: 'r' }, n9: { host: 'n9', region: 'q' },
}
const node: NodeTopology = { nodeName: 'n1', labels: labels.n1!, labelsOf: name => labels[name] }

const cases: { name: string; policies?: string; endpoints: string; cluster: string; local?: string; reachable?: string; has?: boolean; node?: NodeTopology }[] = [
  { name: 'nothing', endpoints: '', cluster: '', has: false },
  { name: 'only ready ones', endpoints: 'x y! z~', cluster: 'x' },
  { name: 'terminating ones where none is ready', endpoints: 'y! z~', cluster: 'z' },
  { name: 'none that serves', endpoints: 'y!', cluster: '', has: false },
  { name: 'zone hints', endpoints: 'x:a y:b', cluster: 'x' },
  { name: 'zone hints, several zones', endpoints: 'x:a,b y:b', cluster: 'x' },
  { name: 'one hint missing: all', endpoints: 'x:a y', cluster: 'x y' },
  { name: 'a hint missing on one that is not ready does not count', endpoints: 'x:a y:b z!', cluster: 'x' },
  { name: 'no hint for our zone: all', endpoints: 'x:c y:b', cluster: 'x y' },
  { name: 'a node without a zone: all', endpoints: 'x:a y:b', cluster: 'x y', node: { ...node, labels: {} } },
  { name: 'node hints before zone hints', endpoints: 'x:a/n2 y:b/n1', cluster: 'y' },
  { name: 'no node hint for us: zone hints', endpoints: 'x:a/n2 y:b/n3', cluster: 'x' },
  { name: 'terminating ones have no topology', endpoints: 'x:b~ y:a~', cluster: 'x y' },
  { name: 'internal Local needs no Cluster endpoints', policies: 'internalLocal', endpoints: 'x@n1 y@n2', cluster: '', local: 'x', reachable: 'x' },
  { name: 'internal Local with none here', policies: 'internalLocal', endpoints: 'y@n2', cluster: '', local: '', has: true },
  { name: 'internal Local, external Cluster', policies: 'internalLocal external', endpoints: 'x@n1 y@n2', cluster: 'x y', local: 'x' },
  { name: 'external Local keeps Cluster endpoints for the node itself', policies: 'externalLocal external', endpoints: 'x@n1 y@n2', cluster: 'x y', local: 'x' },
  { name: 'external Local on a Service that is not external', policies: 'externalLocal', endpoints: 'x@n1 y@n2', cluster: 'x y', local: '' },
  { name: 'the policies fall back by themselves', policies: 'externalLocal external', endpoints: 'x@n1~ y@n2', cluster: 'y', local: 'x', reachable: 'x y' },
  { name: 'local endpoints of another zone are reachable too', policies: 'externalLocal external', endpoints: 'x@n1:b y@n2:a', cluster: 'y', local: 'x', reachable: 'x y' },
  { name: 'only unready ones with a Local policy', policies: 'externalLocal external', endpoints: 'x@n1!', cluster: '', local: '', has: false },
  { name: 'topologyKeys: own node', policies: 'keys=host', endpoints: 'x@n1 y@n2', cluster: 'x' },
  { name: 'topologyKeys: own node has none', policies: 'keys=host', endpoints: 'y@n2', cluster: '', has: false },
  { name: 'topologyKeys: node, then any', policies: 'keys=host,*', endpoints: 'y@n2 z@n9', cluster: 'y z' },
  { name: 'topologyKeys: zone, then region', policies: 'keys=topology.kubernetes.io/zone,region', endpoints: 'y@n2 z@n9', cluster: 'y' },
  { name: 'topologyKeys: an unknown node', policies: 'keys=host', endpoints: 'x@n1', cluster: '', has: false, node: { ...node, labels: {} } },
  { name: 'topologyKeys: an unknown node, any', policies: 'keys=host,*', endpoints: 'x@n1', cluster: 'x', node: { ...node, labels: {} } },
  { name: 'topologyKeys: nobody ready here does not fall back to terminating ones', policies: 'keys=host', endpoints: 'x@n1~ y@n2', cluster: '', has: false },
]

const names = (endpoints: readonly Endpoint[]) => endpoints.map(one => one.ip).join(' ')
for (const { name, policies = '', endpoints, cluster, local = '', reachable = cluster, has = true, node: at = node } of cases) {
  test(name, () => {
    const chosen = chooseEndpoints(endpoints.split(' ').filter(Boolean).map(endpoint), port(policies), at)
    assert.deepEqual({ cluster: names(chosen.cluster), local: names(chosen.local), reachable: names(chosen.reachable), has: chosen.hasEndpoints }, { cluster, local, reachable, has })
  })
}
