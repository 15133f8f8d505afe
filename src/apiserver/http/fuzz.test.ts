// Whatever is sent, the answer is a success or a refusal: never a fault of the server (500), and nothing
// is changed in an object that others share.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Transport } from '#client/transport.ts'
import { resources } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import { logger } from '#lib/log.ts'
import { createApiServer, type ApiServer } from '../server.ts'

let server: ApiServer, api: Transport
const faults: string[] = []
before(async () => {
  server = await createApiServer({}, { log: logger('fuzz', line => { faults.push(line) }) })
  api = server.transport({ name: 'fuzz', groups: ['system:masters'] })
  await api.request({ method: 'POST', path: '/api/v1/namespaces/default/serviceaccounts', body: { metadata: { name: 'default' } } })
})
after(() => server.close())

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const words = ['metadata', 'name', 'namespace', 'spec', 'status', 'labels', 'ports', 'port', 'containers', 'image', 'template', 'selector', 'matchLabels', 'data', 'type', 'finalizers',
  'rules', 'verbs', 'subjects', 'kind', 'roleRef', 'endpoints', 'addresses', 'subsets', 'clusterIP', 'resourceVersion', 'uid', 'annotations', 'replicas', 'volumes', 'env', 'value', 'op', 'path', 'target', '$patch', '$retainKeys', '__proto__', 'constructor', 'ownerReferences', 'deletionTimestamp']
const scalars: unknown[] = ['', 'a', 'b', 'default', 'ClusterIP', 'NodePort', 'ExternalName', 'None', '10.96.0.9', '/metadata/name', '/data/-', 'add', 'remove', 'delete', 'replace', 'é'.repeat(99), 0, 1, -1, 80, 30080, 1e99, 0.5, true, false, null]

test('random requests', { timeout: 60_000 }, async t => {
  const seed = Number(process.env.SEED) || Date.now() % 1e9
  t.diagnostic(`SEED=${seed}`)
  const random = randomFrom(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  const value = (depth: number): unknown => random() < 0.35 || depth > 5 ? pick(scalars)
    : random() < 0.3 ? Array.from({ length: Math.floor(random() * 3) }, () => value(depth + 1))
    : Object.fromEntries(Array.from({ length: Math.floor(random() * 4) }, () => [pick(words), value(depth + 1)]))
  // Half of the bodies are nearly right, so that they come further.
  const body = (kind: string) => random() < 0.5 ? value(0) : { kind, metadata: { name: pick(['a', 'b', 'c']), labels: { x: 'y' } }, spec: value(1), status: value(1), data: value(3), rules: value(2),
    containers: value(2), [pick(words)]: value(1) }
  const operation = () => ({ op: pick(['add', 'remove', 'replace', 'test', 'move', 'copy']), path: `/${pick(words)}/${pick([...words, '0', '-'])}`, value: value(3), from: `/${pick(words)}` })
  const template = { metadata: { labels: { x: 'y' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const good: Record<string, object> = { configmaps: { data: { a: 'b' } }, services: { spec: { ports: [{ port: 80 }], type: 'NodePort' } }, pods: { spec: template.spec }, deployments: { spec: { selector: { matchLabels: { x: 'y' } }, template } }, clusterroles: { rules: [] } }
  for (let n = 0; n < 3000; n++) {
    const { group, version, plural, kind, subresources, namespaced } = random() < 0.5 ? resources[pick(Object.keys(good)) as 'pods'] : pick(Object.values(resources))
    const method = pick(['GET', 'POST', 'POST', 'PUT', 'PATCH', 'PATCH', 'PATCH', 'DELETE'] as const)
    const name = random() < 0.95 ? pick(['a', 'b', 'c']) : pick(['d', '%2e'])
    const nearly = { ...good[plural], metadata: { name }, [pick(words)]: value(1) }
    const path = [group ? `/apis/${group}` : '/api', version, ...(namespaced && random() < 0.97 ? ['namespaces', 'default'] : []), plural,
      ...((method === 'POST') === random() < 0.1 ? [name] : []), ...(random() < 0.1 ? [pick([...subresources, 'none'])] : [])].join('/')
    const query = random() < 0.3 ? { [pick(['labelSelector', 'fieldSelector', 'limit', 'continue', 'resourceVersion', 'dryRun', 'fieldValidation', 'resourceVersionMatch'])]: pick(['', 'a', 'a=b', 'x in (y)', 'metadata.name=a', '0', '5', '-1', 'All', 'Strict', 'Exact', '!,', 'x,,']) } : {}
    const contentType = method === 'PATCH' ? pick(['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json']) : 'application/json'
    const sent = method === 'PATCH' ? (contentType.includes('json-patch') ? [operation(), operation()] : value(0)) : random() < 0.5 ? nearly : body(kind)
    const request = { method, path, query, contentType, ...(method !== 'GET' && (method !== 'DELETE' || random() < 0.5) && { body: sent }) }
    await api.request(request).catch((error: unknown) => {
      assert.ok(error instanceof StatusError, `${JSON.stringify(request)}: ${String((error as Error).stack)}`)
      const { code, message } = error.status
      const expected = code < 500 || /resourceVersion should not be set|too large resource version/i.test(message) // 500 and 504 upstream, too
      assert.ok(expected, `${code} ${message}\n${JSON.stringify(request)}\n${faults.join('\n')}`)
    })
  }
  assert.deepEqual(faults, [])
})
