// A node that falls silent, with a clock that the test turns: conditions, taints, traffic, eviction,
// and its return. And pods that wait for a node.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event, Node, Pod } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import { handClock } from '#client/handclock.ts'
import { time } from '#lib/clock.ts'
import { hollowCluster } from './hollow.ts'

const pod = (name: string, spec: Partial<Pod['spec']> = {}): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec } })

test('a silent node: Unknown after its grace, no traffic, pods leave after five minutes, all is well when it is back', async () => {
  const clock = handClock(Date.now())
  const cluster = await hollowCluster({ clock, nodes: ['quiet', 'lively'] })
  const nodes = cluster.informer<Node>(resources.nodes), pods = cluster.informer<Pod>(resources.pods), slices = cluster.informer<EndpointSlice>(resources.endpointslices)
  await Promise.all([nodes.synced, slices.synced])
  const beat = (name: string) => cluster.client.patch(resources.nodes, undefined, name, { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: time(clock.now()), lastTransitionTime: time(clock.now()) }] } }, { type: 'strategic', subresource: 'status' })
  const pass = async (seconds: number) => { for (let i = 0; i < seconds; i += 5) { await beat('lively'); await clock.advance(5000) } }
  const ready = (name: string) => nodes.get(name)?.status?.conditions?.find(condition => condition.type === 'Ready')?.status
  const taints = (name: string) => (nodes.get(name)?.spec.taints ?? []).map(taint => `${taint.key}:${taint.effect}`).sort()
  try {
    await cluster.client.create(resources.services, 'default', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } } as never)
    await cluster.client.create(resources.pods, 'default', pod('web-0', { nodeName: 'quiet' }))
    const endpointReady = () => slices.list().flatMap(slice => slice.endpoints ?? []).find(endpoint => endpoint.nodeName === 'quiet')?.conditions?.ready
    await cluster.until('traffic', () => endpointReady() === true)
    await pass(45)
    assert.equal(ready('quiet'), 'True', 'still within its grace')
    await pass(15)
    await cluster.until('Unknown', () => ready('quiet') === 'Unknown' && ready('lively') === 'True')
    await cluster.until('tainted', () => taints('quiet').join() === 'node.kubernetes.io/unreachable:NoExecute,node.kubernetes.io/unreachable:NoSchedule')
    await cluster.until('no traffic', () => endpointReady() === false)
    assert.equal(pods.get('default/web-0')!.metadata.deletionTimestamp, undefined)
    await pass(310)
    await cluster.until('evicted', () => pods.get('default/web-0')?.metadata.deletionTimestamp !== undefined || pods.get('default/web-0') === undefined)
    await beat('quiet')
    await cluster.until('back', () => ready('quiet') === 'True' && taints('quiet').length === 0)
  } finally { await cluster.stop() }
})

test('a pod that fits nowhere says why, and is placed as soon as it can be', async () => {
  const cluster = await hollowCluster({ nodes: ['small'] })
  const pods = cluster.informer<Pod>(resources.pods), events = cluster.informer<Event>(resources.events)
  try {
    await cluster.client.create(resources.pods, 'default', pod('picky', { nodeSelector: { disk: 'ssd' } }))
    const text = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    await cluster.until('the event', () => events.list().some(event => event.reason === 'FailedScheduling' && event.message === text && event.involvedObject.name === 'picky'))
    await cluster.until('the condition', () => pods.get('default/picky')?.status?.conditions?.some(condition => condition.type === 'PodScheduled' && condition.status === 'False' && condition.reason === 'Unschedulable' && condition.message === text) === true)
    await cluster.client.patch(resources.nodes, undefined, 'small', { metadata: { labels: { disk: 'ssd' } } })
    await cluster.until('placed', () => pods.get('default/picky')?.spec.nodeName === 'small')
    await cluster.until('the condition again', () => pods.get('default/picky')?.status?.conditions?.some(condition => condition.type === 'PodScheduled' && condition.status === 'True') === true)
  } finally { await cluster.stop() }
})
