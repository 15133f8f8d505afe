// Bindings, evictions and tokens: what they do to the object, and what they refuse.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Pod } from '#api/core/v1.ts'
import type { ApiRequest, Transport } from '#client/transport.ts'
import type { StatusError } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'
import { createApiServer, type ApiServer } from '../server.ts'

let server: ApiServer, api: Transport
const base = '/api/v1/namespaces/default'
const send = (method: ApiRequest['method'], path: string, body?: unknown) => api.request({ method, path: `${base}/${path}`, ...(body !== undefined && { body }) })
const outcome = (request: Promise<unknown>) => request.then(() => 'ok', (error: unknown) => (error as StatusError).message)
const pod = async () => await send('GET', 'pods/p') as Pod

before(async () => {
  server = await createApiServer({}, { log: silent })
  api = server.transport({ name: 'admin', groups: ['system:masters'] })
  await send('POST', 'serviceaccounts', { metadata: { name: 'default' } })
  await send('POST', 'serviceaccounts', { metadata: { name: 'other' } })
})
after(() => server.close())
beforeEach(async () => {
  await send('DELETE', 'pods/p', { gracePeriodSeconds: 0 }).catch(() => {})
  await send('POST', 'pods', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'x' }] } })
})

describe('a binding', () => {
  const to = (name: string) => ({ metadata: { name: 'p', annotations: { by: 'me' } }, target: { kind: 'Node', name } })
  test('assigns the pod and says so in its conditions', async () => {
    const { metadata: { generation } } = await pod()
    assert.equal(await outcome(send('POST', 'pods/p/binding', to('n1'))), 'ok')
    const { metadata, spec, status } = await pod()
    assert.deepEqual([spec!.nodeName, metadata.annotations, metadata.generation], ['n1', { by: 'me' }, generation])
    assert.deepEqual(status!.conditions!.map(({ type, status }) => `${type}=${status}`), ['PodScheduled=True'])
  })
  test('is made once', async () => {
    const results = await Promise.all(['n1', 'n2'].map(name => outcome(send('POST', 'pods/p/binding', to(name)))))
    assert.deepEqual(results, ['ok', 'Operation cannot be fulfilled on pods "p": pod p is already assigned to node "n1"'])
  })
  const refusals: [body: object, expected: RegExp][] = [
    [{ target: { kind: 'Pod', name: 'n1' } }, /target.kind: Unsupported value: "Pod"/],
    [{ target: { kind: 'Node' } }, /target.name: Required value/],
    [{ metadata: { name: 'q' }, target: { kind: 'Node', name: 'n1' } }, /name in URL does not match name in Binding object/],
  ]
  for (const [body, expected] of refusals) test(`refuses ${JSON.stringify(body)}`, async () => { assert.match(await outcome(send('POST', 'pods/p/binding', body)), expected) })
  test('of a pod that goes is refused', async () => {
    await send('PUT', 'pods/p', { ...await pod(), metadata: { ...(await pod()).metadata, finalizers: ['example.com/x'] } })
    await send('DELETE', 'pods/p')
    assert.match(await outcome(send('POST', 'pods/p/binding', to('n1'))), /pod p is being deleted, cannot be assigned to a host/)
    await api.request({ method: 'PATCH', path: `${base}/pods/p`, contentType: 'application/merge-patch+json', body: { metadata: { finalizers: null } } })
  })
})

describe('an eviction', () => {
  test('deletes with the grace it asks for', async () => {
    await send('POST', 'pods/p/binding', { target: { kind: 'Node', name: 'n1' } })
    assert.equal(await outcome(send('POST', 'pods/p/eviction', { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' }, deleteOptions: { gracePeriodSeconds: 3 } })), 'ok')
    assert.equal((await pod()).metadata.deletionGracePeriodSeconds, 3)
  })
  test('on a dry run does not', async () => {
    await send('POST', 'pods/p/eviction', { metadata: { name: 'p' }, deleteOptions: { dryRun: ['All'] } })
    assert.equal((await pod()).metadata.deletionTimestamp, undefined)
  })
})

describe('a token', () => {
  const bound = (boundObjectRef: object) => outcome(send('POST', 'serviceaccounts/default/token', { spec: { boundObjectRef } }))
  test('is bound to what is there', async () => {
    assert.equal(await bound({ kind: 'Pod', name: 'p', uid: (await pod()).metadata.uid }), 'ok')
    assert.equal(await bound({ kind: 'Pod', name: 'none' }), 'pods "none" not found')
    assert.match(await bound({ kind: 'Pod', name: 'p', uid: 'old' }), /the UID in the bound object reference \(old\) does not match the UID in record/)
    assert.equal(await bound({ kind: 'Service', apiVersion: 'v1', name: 'kubernetes' }), 'cannot bind token to object of type v1, Kind=Service')
    assert.equal(await outcome(send('POST', 'serviceaccounts/other/token', { spec: { boundObjectRef: { kind: 'Pod', name: 'p' } } })),
      'cannot bind token for serviceaccount "other" to pod running with different serviceaccount name.')
  })
  test('of an account that is not there is refused', async () => {
    assert.equal(await outcome(send('POST', 'serviceaccounts/none/token', { spec: {} })), 'serviceaccounts "none" not found')
  })
})

test('subresources have their own verbs', async () => {
  assert.equal(await outcome(send('GET', 'pods/p/binding')), 'get is not supported on resources of kind "pods"')
})
