// One page per case of testdata/: CASE.in.yaml (a Service and what is around it) -> CASE.txt. What a
// case leaves out is filled in below: three nodes with kube-proxy and DNS, pods that run and are
// ready, and the EndpointSlice that the controller would write. To accept a change, look at the difference after
//   UPDATE_GOLDENS=1 node --test src/cli/explain/explain.test.ts
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConfigMap, Endpoints, Event, Node, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { selects, type KubeObject } from '#api/object.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { explain } from './explain.ts'
import type { Explanation, Observations, Socket, Workload } from './explanation.ts'
import { targetPort } from './targets.ts'
import { text } from './text.ts'

/** What was seen on the machine; `listen` is `{10.244.1.2: [TCP 0.0.0.0 80]}`. */
interface Seen extends KubeObject { elsewhere?: boolean; flags?: string; listen?: Record<string, string[]>; notLookedAt?: string[] }

const now = '2026-11-21T12:00:00Z', earlier = '2026-11-21T11:57:00Z'
const folder = join(import.meta.dirname, 'testdata')
const cases = readdirSync(folder).filter(file => file.endsWith('.in.yaml')).map(file => file.slice(0, -'.in.yaml'.length))

function explanationOf(file: string): Explanation {
  const documents = parseYamlDocuments(readFileSync(file, 'utf8'), file) as KubeObject[]
  const of = <T extends KubeObject>(...kinds: string[]) => documents.filter(each => kinds.includes(each.kind ?? '')) as T[]
  const seen = of<Seen>('Seen')[0]
  const service = { ...of<Service>('Service')[0]! }
  service.metadata = { namespace: 'default', uid: 's', ...service.metadata }
  const nodes = of<Node>('Node').length > 0 ? of<Node>('Node').map(filledNode) : ['k8s-master01', 'k8s-node01', 'k8s-node02'].map((name, i) => filledNode({ metadata: { name }, spec: {} }, i))
  const own = of<Pod>('Pod').map(filledPod)
  const system = of('NoSystemPods').length > 0 ? [] : [...nodes.map(node => systemPod('kube-proxy', node.metadata.name)), systemPod('kube-dns', nodes.at(-1)!.metadata.name)]
  const pods = [...own, ...system.filter(pod => !own.some(other => other.metadata.name === pod.metadata.name))]
  const endpoints = of<Endpoints>('Endpoints')[0], proxyConfig = of<ConfigMap>('ConfigMap')[0]
  const slices = of<EndpointSlice>('EndpointSlice')
  return explain({
    service, nodes, pods, slices: slices.length > 0 || of('NoSlices').length > 0 ? slices : written(service, own), events: of<Event>('Event'), workloads: of<Workload>('Deployment', 'StatefulSet', 'DaemonSet'),
    ...(endpoints && { endpoints }), ...(proxyConfig && { proxyConfig }),
  }, observations(seen))
}

const observations = ({ elsewhere, flags = '', listen = {}, notLookedAt = [] }: Partial<Seen> = {}): Observations => ({
  now, notLookedAt, ...(!elsewhere && { own: { flags } }),
  sockets: Object.fromEntries(Object.entries(listen).map(([ip, sockets]) => [ip, sockets.map((line): Socket => {
    const [protocol, address, port] = line.split(' ')
    return { protocol: protocol as 'TCP', ip: address!, port: Number(port) }
  })])),
})

function filledNode(node: Node, index: number): Node {
  return { ...node, kind: 'Node', status: { addresses: [{ type: 'InternalIP', address: `192.168.109.${100 + index}` }], conditions: [{ type: 'Ready', status: 'True' }], ...node.status } }
}

/** Ready unless it says otherwise; a pod whose Ready condition is False still runs unless its containers say otherwise. */
function filledPod(pod: Pod): Pod {
  const conditions = pod.status?.conditions ?? [{ type: 'Ready', status: 'True', lastTransitionTime: earlier }]
  const ready = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  const spec = { ...pod.spec, containers: pod.spec?.containers ?? [{ name: 'web', image: 'nginx:1.14.2' }] }
  const containerStatuses = pod.status?.containerStatuses ?? spec.containers.map(({ name, image = '' }) => ({ name, image, imageID: '', ready, started: true, restartCount: 0, state: { running: {} } }))
  return { ...pod, metadata: { namespace: 'default', uid: pod.metadata.name, ...pod.metadata }, spec, status: { phase: 'Running', ...pod.status, conditions, containerStatuses } }
}

const systemPod = (app: string, node: string): Pod =>
  filledPod({ metadata: { name: `${app}-${node}`, namespace: 'kube-system', labels: { 'k8s-app': app } }, spec: { nodeName: node, containers: [{ name: app, image: app }] } })

/** What the EndpointSlice controller writes: a slice for each set of port numbers. */
function written(service: Service, pods: readonly Pod[]): EndpointSlice[] {
  const { selector, ports = [], publishNotReadyAddresses = false } = service.spec
  return pods.filter(pod => pod.metadata.namespace === service.metadata.namespace && selects(selector, pod.metadata.labels) && pod.status?.podIP && pod.status.phase === 'Running').map(pod => {
    const serving = pod.status!.conditions!.some(({ type, status }) => type === 'Ready' && status === 'True'), terminating = pod.metadata.deletionTimestamp !== undefined
    return {
      metadata: { name: `${service.metadata.name}-${pod.metadata.name}` }, addressType: 'IPv4',
      ports: ports.flatMap(port => { const target = targetPort(pod, port); return target === undefined ? [] : [{ name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: target }] }),
      endpoints: [{ addresses: [pod.status!.podIP!], nodeName: pod.spec.nodeName!, targetRef: { kind: 'Pod', name: pod.metadata.name },
        conditions: { ready: publishNotReadyAddresses || (serving && !terminating), serving, terminating } }],
    }
  })
}

test('there are cases', () => assert.ok(cases.length > 25))

for (const name of cases) test(name, () => {
  const explanation = explanationOf(join(folder, `${name}.in.yaml`)), golden = join(folder, `${name}.txt`)
  const page = text(explanation)
  if (process.env.UPDATE_GOLDENS) writeFileSync(golden, page)
  assert.equal(page, existsSync(golden) ? readFileSync(golden, 'utf8') : '')
  assert.deepEqual(JSON.parse(JSON.stringify(explanation)), explanation, 'an Explanation is a plain value')
})
