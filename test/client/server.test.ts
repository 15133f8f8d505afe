// The client against our own API server: over HTTPS with certificates and tokens, informers through
// compaction, the event recorder, leader election.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import type { Lease } from '#api/coordination/v1.ts'
import type { ConfigMap, Event } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { discover } from '#client/discovery.ts'
import { eventRecorder } from '#client/events.ts'
import { handClock } from '#client/handclock.ts'
import { httpsTransport } from '#client/https.ts'
import { startInformer } from '#client/informer.ts'
import { runLeaderElection } from '#client/leader.ts'
import { StatusError } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-client-'))
let server: ApiServer, client: Client, base: { server: string; ca: string }, admin: { cert: string; key: string }
const stop = new AbortController()
before(async () => {
  const pki = await ensurePki(folder, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  server = await createApiServer({ pki }, { log: silent })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  base = { server: `https://127.0.0.1:${port}`, ca: pki.ca }
  admin = pki.admin
  client = new Client(httpsTransport({ ...base, ...admin }))
})
after(async () => {
  stop.abort(new Error('the test is over'))
  client.transport.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const map = (name: string, value = 'x'): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data: { value } })
const until = async (what: string, holds: () => boolean) => { for (let i = 0; !holds(); i++) { assert.ok(i < 1000, `never: ${what}`); await new Promise(resolve => setTimeout(resolve, 2)) } }

test('verbs over HTTPS with a client certificate', async () => {
  const made = await client.create<ConfigMap>(resources.configmaps, 'default', map('a'))
  assert.ok(made.metadata.uid)
  assert.equal((await client.patch<ConfigMap>(resources.configmaps, 'default', 'a', { data: { value: 'y' } })).data!.value, 'y')
  await assert.rejects(client.update(resources.configmaps, made), (error: unknown) => error instanceof StatusError && error.status.reason === 'Conflict')
  await client.delete(resources.configmaps, 'default', 'a')
  await assert.rejects(client.get(resources.configmaps, 'default', 'a'), (error: unknown) => error instanceof StatusError && error.status.code === 404 && error.message === 'configmaps "a" not found')
})

test('without credentials there is no entry, and a wrong CA is refused by us', async () => {
  const anonymous = new Client(httpsTransport(base))
  await assert.rejects(anonymous.list(resources.configmaps, 'default'), (error: unknown) => error instanceof StatusError && [401, 403].includes(error.status.code))
  const strict = new Client(httpsTransport({ server: base.server, ...admin }))
  await assert.rejects(strict.list(resources.configmaps, 'default'), /cannot reach the API server at .*(certificate|issuer)/)
  for (const each of [anonymous, strict]) each.transport.close()
})

test('an informer over HTTPS sees every change in order', async () => {
  const informer = startInformer<ConfigMap>(client, resources.configmaps, { namespace: 'default', log: silent, signal: stop.signal })
  await informer.synced
  const seen: string[] = []
  informer.onChange(({ old, now }) => { if ((now ?? old)!.metadata.name === 'b') seen.push(now?.data!.value ?? 'deleted') })
  await client.create(resources.configmaps, 'default', map('b', '0'))
  for (let i = 1; i < 20; i++) await client.patch(resources.configmaps, 'default', 'b', { data: { value: String(i) } })
  await client.delete(resources.configmaps, 'default', 'b')
  await until('deleted', () => seen.at(-1) === 'deleted')
  assert.deepEqual(seen, [...Array.from({ length: 20 }, (_, i) => String(i)), 'deleted'])
})

test('discovery finds what the server serves', async () => {
  const { found, errors } = await discover(client, ['list', 'watch', 'delete'])
  assert.deepEqual(errors, [])
  const configmaps = found.find(resource => resource.plural === 'configmaps')
  assert.deepEqual([configmaps?.kind, configmaps?.group, configmaps?.version, configmaps?.namespaced], ['ConfigMap', '', 'v1', true])
  assert.ok(found.some(resource => resource.plural === 'deployments' && resource.group === 'apps'))
  assert.ok(!found.some(resource => resource.plural.includes('/') || resource.plural === 'tokenreviews'))
})

test('events are written once and then counted, and never throw', async () => {
  const recorder = eventRecorder(client, { component: 'tester', host: 'here', log: silent })
  const about = await client.create<ConfigMap>(resources.configmaps, 'default', map('c'))
  for (let i = 0; i < 3; i++) recorder.event(about, 'Normal', 'Looked', 'nothing to see')
  recorder.event({ kind: 'Pod', name: 'p', namespace: 'no-such-namespace' }, 'Warning', 'Lost', 'nobody will read this')
  await recorder.flush()
  const [event, ...others] = (await client.list<Event>(resources.events, 'default')).items.filter(each => each.reason === 'Looked')
  assert.equal(others.length, 0)
  assert.deepEqual([event!.count, event!.message, event!.source, event!.involvedObject.uid, event!.type], [3, 'nothing to see', { component: 'tester', host: 'here' }, about.metadata.uid, 'Normal'])
  await client.delete(resources.events, 'default', event!.metadata.name)
  recorder.event(about, 'Normal', 'Looked', 'nothing to see')
  await recorder.flush()
  assert.equal((await client.list<Event>(resources.events, 'default')).items.filter(each => each.reason === 'Looked').length, 1)
})

test('one leader at a time; a dead one is followed after its lease, one that stops at once', async () => {
  const clock = handClock(Date.parse('2026-01-01T00:00:00Z')), leaders: string[] = []
  const candidate = (identity: string) => {
    const abort = new AbortController()
    const ended = runLeaderElection(inProcess, { namespace: 'kube-system', name: 'test', identity, clock, log: silent, signal: abort.signal,
      lead: signal => { leaders.push(`+${identity}`); return new Promise<void>(resolve => signal.addEventListener('abort', () => { leaders.push(`-${identity}`); resolve() })) } })
    return { stop: async () => { abort.abort(); await ended } }
  }
  const inProcess = new Client(server.transport({ name: 'system:admin', groups: ['system:masters'] }))
  const steps = async (seconds: number) => { for (let i = 0; i < seconds; i++) { await clock.advance(1000); await new Promise(setImmediate) } }
  const a = candidate('a')
  await steps(1)
  const b = candidate('b')
  await steps(60)
  assert.deepEqual(leaders, ['+a'])
  await a.stop()
  await steps(5)
  assert.deepEqual(leaders, ['+a', '-a', '+b'])
  // Somebody else holds it without renewing, as a process that was killed does.
  await b.stop()
  const lease = await inProcess.get<Lease>(resources.leases, 'kube-system', 'test')
  await inProcess.update<Lease>(resources.leases, { ...lease, spec: { ...lease.spec, holderIdentity: 'dead', leaseDurationSeconds: 15 } })
  const c = candidate('c')
  await steps(14)
  assert.equal(leaders.includes('+c'), false)
  await steps(8)
  assert.equal(leaders.at(-1), '+c')
  assert.equal((await inProcess.get<Lease>(resources.leases, 'kube-system', 'test')).spec.leaseTransitions, 2)
  await c.stop()
})
