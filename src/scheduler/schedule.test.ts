// The scheduler's decisions as a table: a cluster in a few words, a pod, and where it goes or why not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, PodSpec } from '#api/core/v1.ts'
import { Cluster } from './cluster.ts'
import { message } from './message.ts'
import { schedule } from './schedule.ts'

const node = (name: string, { labels = {}, cpu = '4', memory = '8Gi', ...spec }: { labels?: Record<string, string>; cpu?: string; memory?: string } & Node['spec'] = {}): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } }, spec, status: { allocatable: { cpu, memory, pods: '110' } },
})
let uids = 0
const pod = (spec: Partial<PodSpec> = {}, { labels = {}, owner, namespace = 'default' }: { labels?: Record<string, string>; owner?: string; namespace?: string } = {}): Pod => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${++uids}`, namespace, uid: `uid-${uids}`, labels,
    ...(owner && { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] }) },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})
const asks = (cpu: string, memory = '0'): Partial<PodSpec> => ({ containers: [{ name: 'c', image: 'i', resources: { requests: { cpu, memory } } }] })
const cluster = (nodes: Node[], placed: [Pod, string][] = []): Cluster => {
  const made = new Cluster()
  for (const each of nodes) made.setNode(each)
  for (const [each, name] of placed) made.setPod({ ...each, spec: { ...each.spec, nodeName: name } })
  return made
}
const where = (subject: Pod, made: Cluster): string => {
  const result = schedule(subject, made)
  return 'node' in result ? result.node : message(result.refusals)
}

const taint = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }
const three = () => [node('k8s-master01', { taints: [taint] }), node('k8s-node01'), node('k8s-node02')]
const web = { labels: { app: 'web' } }
const near = (topologyKey: string) => ({ labelSelector: { matchLabels: { app: 'web' } }, topologyKey })
const zones = () => [node('a1', { labels: { zone: 'a' } }), node('a2', { labels: { zone: 'a' } }), node('b1', { labels: { zone: 'b' } })]
const helpless = (count: number, text: string) => `0/${count} nodes are available: ${text}. no new claims to deallocate, preemption: 0/${count} nodes are available: ${count} Preemption is not helpful for scheduling.`
const hostPort = (port: number, hostIP?: string): Partial<PodSpec> => ({ containers: [{ name: 'c', image: 'i', ports: [{ containerPort: port, hostPort: port, ...(hostIP && { hostIP }) }] }] })
const spread = (whenUnsatisfiable: string, more = {}): Partial<PodSpec> => ({ topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable, labelSelector: { matchLabels: { app: 'web' } }, ...more }] })

const table: [what: string, subject: Pod, made: Cluster, want: string][] = [
  ['no nodes', pod(), cluster([]), 'no nodes available to schedule pods'],
  ['an untolerated taint', pod(), cluster(three()), 'k8s-node01'],
  ['a tolerated taint', pod({ tolerations: [{ operator: 'Exists' }], nodeSelector: { 'kubernetes.io/hostname': 'k8s-master01' } }), cluster(three()), 'k8s-master01'],
  ['cordoned', pod(), cluster([node('n', { unschedulable: true })]), helpless(1, '1 node(s) were unschedulable')],
  ['nothing fits for two reasons', pod(asks('8')), cluster(three()), helpless(3, '1 node(s) had untolerated taint(s), 2 Insufficient cpu')],
  ['full, but not for ever', pod(asks('3')), cluster([node('n')], [[pod(asks('2')), 'n']]),
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.'],
  ['all that lacks is named', pod(asks('8', '16Gi')), cluster([node('n')]), helpless(1, '1 Insufficient cpu, 1 Insufficient memory')],
  ['a selector nobody has', pod({ nodeSelector: { disk: 'ssd' } }), cluster(three()), helpless(3, "1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node affinity/selector")],
  ['pinned by name', pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['k8s-node02'] }] }] } } } }), cluster(three()), 'k8s-node02'],
  ['preferred node', pod({ affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: { matchExpressions: [{ key: 'zone', operator: 'In', values: ['b'] }] } }] } } }), cluster(zones()), 'b1'],
  ['the emptier node', pod(asks('1')), cluster([node('a'), node('b')], [[pod(asks('2')), 'a']]), 'b'],
  ['away from fellows of the same owner', pod({}, { owner: 'rs' }), cluster([node('a'), node('b')], [[pod({}, { owner: 'rs' }), 'a'], [pod(), 'b']]), 'b'],
  ['a taken host port', pod(hostPort(80)), cluster([node('a'), node('b')], [[pod(hostPort(80)), 'a']]), 'b'],
  ['the same port of another address', pod(hostPort(80, '127.0.0.1')), cluster([node('a')], [[pod(hostPort(80, '127.0.0.2')), 'a']]), 'a'],
  ['every host port taken', pod(hostPort(80)), cluster([node('a')], [[pod(hostPort(80, '127.0.0.2')), 'a']]),
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."],
  ['affinity to a zone', pod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }), cluster(zones(), [[pod({}, web), 'b1']]), 'b1'],
  ['affinity to nobody', pod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }), cluster(zones()), helpless(3, "3 node(s) didn't match pod affinity rules")],
  ['the first of a group that wants to be together', pod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }, web), cluster(zones()), 'a1'],
  ['anti-affinity', pod({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }), cluster(zones(), [[pod({}, web), 'a1']]), 'b1'],
  ['anti-affinity of a pod already there', pod({}, web), cluster(zones(), [[pod({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }), 'a2']]), 'b1'],
  ['anti-affinity of another namespace does not count', pod({}, { ...web, namespace: 'other' }), cluster([node('a1', { labels: { zone: 'a' } })], [[pod({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near('zone')] } } }), 'a1']]), 'a1'],
  ['preferred affinity', pod({ affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: near('kubernetes.io/hostname') }] } } }), cluster(zones(), [[pod({}, web), 'a2']]), 'a2'],
  ['preferred anti-affinity', pod({ affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: near('zone') }] } } }), cluster(zones(), [[pod({}, web), 'a2']]), 'b1'],
  ['must spread over zones', pod(spread('DoNotSchedule'), web), cluster(zones(), [[pod({}, web), 'a1']]), 'b1'],
  ['cannot spread', pod({ ...spread('DoNotSchedule'), nodeSelector: { zone: 'a' }, topologySpreadConstraints: [{ ...spread('DoNotSchedule').topologySpreadConstraints![0]!, nodeAffinityPolicy: 'Ignore' }] }, web), cluster(zones(), [[pod({}, web), 'a1']]),
    "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) didn't match pod topology spread constraints. no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."],
  ['minDomains counts zones that are not there', pod(spread('DoNotSchedule', { minDomains: 3 }), web), cluster(zones(), [[pod({}, web), 'a1'], [pod({}, web), 'b1']]),
    "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints. no new claims to deallocate, preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."],
  ['a node outside the topology', pod(spread('DoNotSchedule'), web), cluster([node('x')]), helpless(1, "1 node(s) didn't match pod topology spread constraints (missing required label)")],
  ['should spread over zones', pod(spread('ScheduleAnyway'), web), cluster(zones(), [[pod({}, web), 'a1']]), 'b1'],
  ['a sidecar and the largest init container count', pod({ initContainers: [{ name: 's', image: 'i', restartPolicy: 'Always', resources: { requests: { cpu: '1' } } }, { name: 'i', image: 'i', resources: { requests: { cpu: '3500m' } } }], ...asks('1') }), cluster([node('n')]), helpless(1, '1 Insufficient cpu')],
  ['no room for another pod', pod(), cluster([{ ...node('n'), status: { allocatable: { pods: '1' } } }], [[pod(), 'n']]),
    '0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.'],
]
for (const [what, subject, made, want] of table) test(what, () => assert.equal(where(subject, made), want))

test('three replicas of one set land on both workers, whatever the order', () => {
  const made = cluster(three()), counts = new Map<string, number>()
  for (let i = 0; i < 6; i++) {
    const subject = pod({}, { owner: 'rs' }), name = where(subject, made)
    made.setPod({ ...subject, spec: { ...subject.spec, nodeName: name } })
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  assert.deepEqual([...counts].sort(), [['k8s-node01', 3], ['k8s-node02', 3]])
})

test('what is taken away is free again, also over a new version of the node', () => {
  const made = cluster([node('n')]), first = pod(asks('4'))
  made.setPod({ ...first, spec: { ...first.spec, nodeName: 'n' } })
  made.setNode(node('n', { labels: { new: 'yes' } }))
  assert.match(where(pod(asks('1')), made), /Insufficient cpu/)
  made.deletePod(first)
  assert.equal(where(pod(asks('4')), made), 'n')
})
