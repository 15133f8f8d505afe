// A pod's life as the API shows it: our API server in memory, a real kubelet, the runtime's fake.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { createApiServer } from '#apiserver/server.ts'
import { fakeRuntime, type FakeScript } from '#kubelet/runtime/fake.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { podOf, testNode } from './cluster.ts'
import { offsetClock } from './offsetclock.ts'

const images = ['web:1', 'tool:1']
const newFake = (script: FakeScript = {}, clock = systemClock) => fakeRuntime({ clock, script, images })
const stateOf = (pod: Pod | undefined, name = 'c') => [...pod?.status?.initContainerStatuses ?? [], ...pod?.status?.containerStatuses ?? []].find(status => status.name === name)
const isReady = (pod: Pod | undefined) => pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const container = { name: 'c', image: 'web:1' }
const idOf = (pod: Pod | undefined) => stateOf(pod)!.containerID!.replace('fairway://', '')

test('a bound pod runs at once, reports itself, and is gone after its deletion', async () => {
  const fake = newFake()
  await using node = await testNode(fake)
  const began = performance.now()
  await node.client.create(resources.pods, 'default', podOf('web', { containers: [container] }))
  const pod = await node.until('web', isReady)
  assert.ok(performance.now() - began < 1000)
  assert.equal(pod!.status!.phase, 'Running')
  assert.equal(pod!.status!.hostIP, '192.168.109.100')
  assert.equal(pod!.status!.podIP, fake.listPodSandboxes()[0]!.ips[0])
  assert.match(stateOf(pod)!.containerID!, /^fairway:\/\//)
  assert.deepEqual(pod!.status!.conditions!.map(({ type, status }) => `${type}=${status}`).toSorted(),
    ['ContainersReady=True', 'Initialized=True', 'PodReadyToStartContainers=True', 'PodScheduled=True', 'Ready=True'])
  await node.client.delete(resources.pods, 'default', 'web')
  await node.until('web', found => !found)
  assert.deepEqual(await node.eventsOf('web'), ['Pulled: Container image "web:1" already present on machine', 'Created: Container created', 'Started: Container started', 'Killing: Stopping container c'])
  await node.settled(() => fake.listPodSandboxes().length === 0)
})

test('init containers run one after another, a sidecar stays, then the main containers start', async () => {
  const fake = newFake({ onStart: ({ name }) => name.startsWith('init') ? 0 : undefined })
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('p', {
    initContainers: [{ name: 'init1', image: 'tool:1' }, { name: 'side', image: 'tool:1', restartPolicy: 'Always' }, { name: 'init2', image: 'tool:1' }],
    containers: [container, { name: 'd', image: 'web:1' }],
  }))
  const pod = await node.until('p', isReady)
  assert.deepEqual(fake.calls.filter(call => call.startsWith('startContainer')), ['init1', 'side', 'init2', 'c', 'd'].map(name => `startContainer ${name}#0`))
  assert.equal(stateOf(pod, 'init1')!.state!.terminated!.reason, 'Completed')
  assert.ok(stateOf(pod, 'side')!.state!.running)
  await node.client.delete(resources.pods, 'default', 'p')
  await node.until('p', found => !found)
  // KEP-753: sidecars outlive the main containers.
  assert.equal(fake.calls.filter(call => call.startsWith('stopContainer')).at(-1), 'stopContainer side#0')
})

test('a container that keeps failing waits longer each time and says so', async () => {
  const clock = offsetClock()
  const fake = newFake({ onStart: () => 3 }, clock)
  await using node = await testNode(fake, { clock })
  await node.client.create(resources.pods, 'default', podOf('crash', { containers: [container] }))
  const waiting = (delay: string) => (pod: Pod | undefined) => stateOf(pod)?.state?.waiting?.message?.startsWith(`back-off ${delay} `) === true
  for (const [delay, seconds, restarts] of [['10s', 10, 1], ['20s', 20, 2], ['40s', 40, 3]] as const) {
    const pod = await node.until('crash', waiting(delay))
    assert.equal(stateOf(pod)!.state!.waiting!.reason, 'CrashLoopBackOff')
    assert.equal(stateOf(pod)!.restartCount, restarts)
    assert.equal(stateOf(pod)!.lastState!.terminated!.exitCode, 3)
    assert.equal(pod!.status!.phase, 'Running')
    clock.skip(seconds * 1000)
  }
  assert.ok((await node.eventsOf('crash')).some(event => event.startsWith('BackOff: Back-off restarting failed container c in pod crash_default(')))
})

for (const { policy, exitCode, phase, restarts } of [
  { policy: 'Never', exitCode: 0, phase: 'Succeeded', restarts: 0 },
  { policy: 'Never', exitCode: 1, phase: 'Failed', restarts: 0 },
  { policy: 'OnFailure', exitCode: 0, phase: 'Succeeded', restarts: 0 },
]) test(`restartPolicy ${policy}, exit status ${exitCode}: ${phase}`, async () => {
  const fake = newFake({ onStart: () => exitCode })
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('job', { restartPolicy: policy, containers: [container] }))
  const pod = await node.until('job', found => found?.status?.phase === phase)
  assert.equal(stateOf(pod)!.restartCount, restarts)
  assert.equal(stateOf(pod)!.state!.terminated!.exitCode, exitCode)
  await node.settled(() => fake.listPodSandboxes().every(({ state }) => state === 'notready'))
})

test('a failed liveness probe restarts the container', async () => {
  let healthy = true
  const fake = newFake({ onExec: () => ({ exitCode: healthy ? 0 : 1, output: 'sick' }) })
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('live', { containers: [{ ...container, livenessProbe: { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 1 } }] }))
  await node.until('live', isReady)
  healthy = false
  const pod = await node.until('live', found => stateOf(found)?.restartCount === 1)
  assert.equal(stateOf(pod)!.lastState!.terminated!.exitCode, 143)
  const events = await node.eventsOf('live')
  assert.ok(events.includes('Unhealthy: Liveness probe failed: sick'), events.join('\n'))
  assert.ok(events.includes('Killing: Container c failed liveness probe, will be restarted'), events.join('\n'))
})

test('readiness is asked at once and again soon, and follows the probe', async () => {
  let open = false
  const fake = newFake({ listens: () => open })
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('ready', { containers: [{ ...container, readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 60 } }] }))
  const running = await node.until('ready', pod => pod?.status?.phase === 'Running')
  assert.equal(isReady(running), false)
  open = true
  await node.until('ready', isReady, 3_000)
})

test('an image that is nowhere: ErrImagePull, then ImagePullBackOff, and the pod recovers when it appears', async () => {
  const clock = offsetClock()
  const fake = newFake({}, clock)
  await using node = await testNode(fake, { clock })
  await node.client.create(resources.pods, 'default', podOf('pull', { containers: [{ name: 'c', image: 'nginx:11.14.2' }] }))
  const failed = await node.until('pull', pod => stateOf(pod)?.state?.waiting?.reason === 'ErrImagePull')
  assert.equal(failed!.status!.phase, 'Pending')
  clock.skip(2_000)
  await node.until('pull', pod => stateOf(pod)?.state?.waiting?.reason === 'ImagePullBackOff')
  const events = await node.eventsOf('pull')
  for (const text of ['Pulling: Pulling image "nginx:11.14.2"', 'Failed: Failed to pull image "nginx:11.14.2": failed to pull and unpack image "nginx:11.14.2": not found', 'Failed: Error: ErrImagePull',
    'BackOff: Back-off pulling image "nginx:11.14.2"', 'Failed: Error: ImagePullBackOff']) assert.ok(events.includes(text), `${text} in\n${events.join('\n')}`)
  fake.images.set('nginx:11.14.2', { id: 'sha256:x', tags: ['nginx:11.14.2'], digests: [], sizeBytes: 5 })
  clock.skip(10_000)
  await node.until('pull', isReady)
})

test('a missing config map holds the container back until it is made', async () => {
  const fake = newFake()
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('env', { containers: [{ ...container, env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } }] }] }))
  const held = await node.until('env', pod => stateOf(pod)?.state?.waiting?.reason === 'CreateContainerConfigError')
  assert.equal(stateOf(held)!.state!.waiting!.message, 'configmap "settings" not found')
  await node.client.create(resources.configmaps, 'default', { metadata: { name: 'settings' }, data: { a: '1' } } as never)
  const pod = await node.until('env', isReady, 2_000)
  assert.deepEqual(fake.configOf(idOf(pod)).env.filter(([name]) => name === 'A'), [['A', '1']])
})

test('SIGTERM waits until the endpoint slices have dropped the pod', async () => {
  const fake = newFake()
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('served', { containers: [container] }))
  const pod = (await node.until('served', isReady))!
  const endpoint = (ready: boolean) => [{ addresses: [pod.status!.podIP!], conditions: { ready, serving: true, terminating: !ready }, targetRef: { kind: 'Pod', name: 'served', namespace: 'default', uid: pod.metadata.uid } }]
  await node.client.create<EndpointSlice>(resources.endpointslices, 'default', { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 's', namespace: 'default' }, addressType: 'IPv4', endpoints: endpoint(true), ports: [] })
  await systemClock.sleep(50)
  await node.client.delete(resources.pods, 'default', 'served', { gracePeriodSeconds: 30 })
  await systemClock.sleep(200)
  assert.equal(fake.calls.some(call => call.startsWith('stopContainer')), false, 'stopped while still offered')
  const dropped = performance.now()
  await node.client.patch(resources.endpointslices, 'default', 's', { endpoints: endpoint(false) })
  await node.until('served', found => !found)
  assert.ok(performance.now() - dropped >= 450, 'the margin for the proxies')
})

test('after everything was killed, the same pods start again with one more restart', async () => {
  const server = await createApiServer({}, { log: silent })
  await using _end = { [Symbol.asyncDispose]: () => server.close() }
  const before = await testNode(newFake(), { server })
  await before.client.create(resources.pods, 'default', podOf('stays', { containers: [container] }))
  const first = await before.until('stays', isReady)
  await before[Symbol.asyncDispose]()
  await using after = await testNode(newFake(), { server })
  const second = await after.until('stays', pod => stateOf(pod)?.restartCount === 1 && isReady(pod))
  assert.equal(second!.metadata.uid, first!.metadata.uid)
  assert.equal(stateOf(second)!.lastState!.terminated!.reason, 'ContainerStatusUnknown')
  assert.equal(stateOf(second)!.lastState!.terminated!.exitCode, 137)
})

test('hooks: postStart before the next container, preStop before the signal', async () => {
  const order: string[] = []
  const fake = newFake({ onExec: (_, command) => { order.push(command[0]!); return { exitCode: 0, output: '' } }, onStart: ({ name }) => { order.push(`start ${name}`); return undefined } })
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('hooks', { containers: [
    { ...container, lifecycle: { postStart: { exec: { command: ['hello'] } }, preStop: { exec: { command: ['bye'] } } } }, { name: 'd', image: 'web:1' }] }))
  await node.until('hooks', isReady)
  await node.client.delete(resources.pods, 'default', 'hooks')
  await node.until('hooks', found => !found)
  assert.deepEqual(order, ['start c', 'hello', 'start d', 'bye'])
})

test('activeDeadlineSeconds ends the pod as Failed', async () => {
  const clock = offsetClock()
  const fake = newFake({}, clock)
  await using node = await testNode(fake, { clock })
  await node.client.create(resources.pods, 'default', podOf('late', { activeDeadlineSeconds: 60, containers: [container] }))
  await node.until('late', isReady)
  clock.skip(60_000)
  const pod = await node.until('late', found => found?.status?.phase === 'Failed' && stateOf(found)?.state?.terminated !== undefined)
  assert.equal(pod!.status!.reason, 'DeadlineExceeded')
})

test('deletion by force takes the containers down although the object is gone', async () => {
  const fake = newFake()
  await using node = await testNode(fake)
  await node.client.create(resources.pods, 'default', podOf('forced', { containers: [container] }))
  await node.until('forced', isReady)
  await node.client.delete(resources.pods, 'default', 'forced', { gracePeriodSeconds: 0 })
  await node.settled(() => fake.listPodSandboxes().length === 0)
})
