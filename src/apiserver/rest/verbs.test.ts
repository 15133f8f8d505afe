// The verbs as a client sees them, against a whole server in memory: no socket, no fake.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ApiRequest, Transport, WatchEvent } from '#client/transport.ts'
import type { KubeList, KubeObject } from '#api/object.ts'
import { StatusError, type Status } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'
import { createApiServer, type ApiServer } from '../server.ts'

let server: ApiServer, api: Transport
before(async () => {
  server = await createApiServer({}, { log: silent })
  api = server.transport({ name: 'admin', groups: ['system:masters'] })
})
after(() => server.close())

type Json = Record<string, any> & { metadata: KubeObject['metadata'] & KubeList['metadata'] } // tests look into objects freely
const send = async (method: ApiRequest['method'], url: string, body?: unknown, contentType?: string): Promise<Json> => {
  const [path = '', search] = url.split('?')
  return await api.request({ method, path, query: Object.fromEntries(new URLSearchParams(search)), ...(body !== undefined && { body }), ...(contentType && { contentType }) }) as Json
}
const refused = async (request: Promise<unknown>): Promise<Status> => {
  const error = await request.then(() => undefined, (reason: unknown) => reason)
  assert.ok(error instanceof StatusError, `expected a refusal, got ${String(error)}`)
  return error.status
}
const refusal = async (request: Promise<unknown>) => { const { code, reason, message } = await refused(request); return `${code} ${reason}: ${message}` }

let count = 0
/** A namespace of its own for each test. */
const namespace = async (): Promise<string> => {
  const name = `ns${++count}`
  await send('POST', '/api/v1/namespaces', { metadata: { name } })
  await send('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } })
  return `/api/v1/namespaces/${name}`
}
const configMap = (name: string, data: Record<string, string> = { a: 'b' }, metadata: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data })
const pod = (name: string, spec: object = {}) => ({ metadata: { name }, spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec } })
const deployment = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name },
  spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } } } })
const apps = (ns: string) => ns.replace('/api/v1', '/apis/apps/v1')

describe('create', () => {
  test('fills in what the server decides', async () => {
    const ns = await namespace()
    const { metadata } = await send('POST', `${ns}/configmaps`, configMap('a', {}, { uid: 'mine', generation: 7, selfLink: 'x', managedFields: [], deletionTimestamp: '2020-01-01T00:00:00Z' }))
    assert.deepEqual(Object.keys(metadata).sort(), ['creationTimestamp', 'name', 'namespace', 'resourceVersion', 'uid'])
    assert.match(metadata.uid!, /^[0-9a-f-]{36}$/)
  })
  test('generates a name', async () => {
    const ns = await namespace()
    const { metadata } = await send('POST', `${ns}/configmaps`, { metadata: { generateName: `${'x'.repeat(70)}-` } })
    assert.match(metadata.name, /^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })
  const refusals: [what: string, ns: (ns: string) => string, body: unknown, expected: RegExp][] = [
    ['no name', ns => `${ns}/configmaps`, { metadata: {} }, /^422 Invalid: ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required$/],
    ['a namespace that is not there', () => '/api/v1/namespaces/none/configmaps', configMap('a'), /^404 NotFound: namespaces "none" not found$/],
    ['another namespace than the URL', ns => `${ns}/configmaps`, configMap('a', {}, { namespace: 'other' }), /^400 BadRequest: the namespace of the provided object does not match the namespace sent on the request$/],
    ['another kind than the URL', ns => `${ns}/configmaps`, { kind: 'Secret', apiVersion: 'v1', metadata: { name: 'a' } }, /^400 BadRequest: Secret in version "v1" cannot be handled as a ConfigMap/],
    ['another version than the URL', ns => `${apps(ns)}/deployments`, { ...deployment('a'), apiVersion: 'apps/v1beta1' }, /^400 BadRequest: the API version in the data \(apps\/v1beta1\) does not match the expected API version \(apps\/v1\)$/],
    ['a resourceVersion', ns => `${ns}/configmaps`, configMap('a', {}, { resourceVersion: '1' }), /^500 : resourceVersion should not be set on objects to be created$/],
    ['a value of the wrong type', ns => `${apps(ns)}/deployments`, { ...deployment('a'), spec: { replicas: 'three' } }, /^400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32$/],
    ['an unknown field, strictly', ns => `${ns}/configmaps?fieldValidation=Strict`, { ...configMap('a'), spec: 1 }, /^400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "spec"$/],
    ['no body', ns => `${ns}/configmaps`, undefined, /^400 BadRequest: .*EOF$/],
    ['a body that is no object', ns => `${ns}/configmaps`, ['a'], /^400 BadRequest: couldn't get version\/kind; json parse error/],
    ['a dryRun of another word', ns => `${ns}/configmaps?dryRun=Some`, configMap('a'), /^422 Invalid: CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"$/],
    ['an account that is not there', ns => `${ns}/pods`, pod('a', { serviceAccountName: 'none' }), /^403 Forbidden: pods "a" is forbidden: error looking up service account ns\d+\/none: serviceaccount "none" not found$/],
  ]
  for (const [what, url, body, expected] of refusals) {
    test(`refuses ${what}`, async () => { assert.match(await refusal(send('POST', url(await namespace()), body)), expected) })
  }
  test('refuses a taken name', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    const { details, ...status } = await refused(send('POST', `${ns}/configmaps`, configMap('a')))
    assert.deepEqual([status.code, status.reason, status.message, details], [409, 'AlreadyExists', 'configmaps "a" already exists', { name: 'a', kind: 'configmaps' }])
  })
  test('writes nothing on a dry run, but answers as if', async () => {
    const ns = await namespace()
    const before = server.storage.revision
    const { spec } = await send('POST', `${ns}/services?dryRun=All`, { metadata: { name: 'a' }, spec: { ports: [{ port: 80 }] } })
    assert.match(spec.clusterIP as string, /^10\./)
    assert.equal(server.storage.revision, before)
  })
  test('gives a pod its account, its token volume and the default tolerations', async () => {
    const ns = await namespace()
    const { spec } = await send('POST', `${ns}/pods`, pod('a', { initContainers: [{ name: 'i', image: 'x' }] }))
    assert.equal(spec.serviceAccountName, 'default')
    const [volume] = spec.volumes
    assert.match(volume.name as string, /^kube-api-access-[a-z0-9]{5}$/)
    assert.equal(volume.projected.sources[0].serviceAccountToken.expirationSeconds, 3607)
    const mount = { name: volume.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }
    assert.deepEqual([spec.containers[0].volumeMounts, spec.initContainers[0].volumeMounts], [[mount], [mount]])
    assert.deepEqual(spec.tolerations.map((toleration: { key: string }) => toleration.key), ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'])
  })
  test('of many that want one cluster IP one gets it', async () => {
    const ns = await namespace()
    const wanted = { ports: [{ port: 80 }], clusterIP: '10.96.77.7' }
    const results = await Promise.allSettled(['a', 'b', 'c'].map(name => send('POST', `${ns}/services`, { metadata: { name }, spec: wanted })))
    assert.deepEqual(results.map(result => result.status).sort(), ['fulfilled', 'rejected', 'rejected'])
    await send('DELETE', `${ns}/services/${results.findIndex(result => result.status === 'fulfilled') === 0 ? 'a' : results[1]!.status === 'fulfilled' ? 'b' : 'c'}`)
    await send('POST', `${ns}/services`, { metadata: { name: 'd' }, spec: wanted }) // released with its holder
  })
  test('gives many Services at once different addresses', async () => {
    const ns = await namespace()
    const made = await Promise.all(Array.from({ length: 50 }, (_, n) => send('POST', `${ns}/services`, { metadata: { name: `s${n}` }, spec: { type: 'NodePort', ports: [{ port: 80 }] } })))
    assert.equal(new Set(made.map(({ spec }) => spec.clusterIP as string)).size, 50)
    assert.equal(new Set(made.map(({ spec }) => spec.ports[0].nodePort as number)).size, 50)
  })
})

describe('update', () => {
  test('needs the current version where it names one', async () => {
    const ns = await namespace()
    const made = await send('POST', `${ns}/configmaps`, configMap('a'))
    await send('PUT', `${ns}/configmaps/a`, { ...made, data: { a: 'c' } })
    assert.equal(await refusal(send('PUT', `${ns}/configmaps/a`, { ...made, data: { a: 'd' } })),
      '409 Conflict: Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again')
    assert.equal((await send('PUT', `${ns}/configmaps/a`, configMap('a', { a: 'e' }))).data.a, 'e')
  })
  test('without a change writes nothing', async () => {
    const ns = await namespace()
    const made = await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.equal((await send('PUT', `${ns}/configmaps/a`, made)).metadata.resourceVersion, made.metadata.resourceVersion)
  })
  test('cannot change what the server decides', async () => {
    const ns = await namespace()
    const made = await send('POST', `${ns}/configmaps`, configMap('a'))
    const next = await send('PUT', `${ns}/configmaps/a`, configMap('a', { b: 'c' }, { generation: 5, deletionTimestamp: '2020-01-01T00:00:00Z' }))
    assert.deepEqual({ ...next.metadata, resourceVersion: '' }, { ...made.metadata, resourceVersion: '' })
  })
  test('counts the generation with the spec, not with labels or status', async () => {
    const ns = apps(await namespace())
    const made = await send('POST', `${ns}/deployments`, deployment('a'))
    const labelled = await send('PATCH', `${ns}/deployments/a`, { metadata: { labels: { x: 'y' } } }, 'application/merge-patch+json')
    const scaled = await send('PATCH', `${ns}/deployments/a`, { spec: { replicas: 3 } }, 'application/merge-patch+json')
    const reported = await send('PUT', `${ns}/deployments/a/status`, { ...scaled, spec: { ...scaled.spec, replicas: 9 }, status: { replicas: 2 } })
    assert.deepEqual([made, labelled, scaled, reported].map(object => object.metadata.generation), [1, 1, 2, 2])
    assert.deepEqual([reported.spec.replicas, reported.status.replicas], [3, 2])
    assert.equal((await send('PUT', `${ns}/deployments/a`, { ...reported, status: { replicas: 7 } })).status.replicas, 2)
  })
  test('refuses another uid and another name', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.match(await refusal(send('PUT', `${ns}/configmaps/a`, configMap('a', {}, { uid: 'x' }))), /^409 Conflict: .*Precondition failed: UID in precondition: x/)
    assert.equal(await refusal(send('PUT', `${ns}/configmaps/a`, configMap('b'))), '400 BadRequest: the name of the object (b) does not match the name on the URL (a)')
    assert.equal(await refusal(send('PUT', `${ns}/configmaps/none`, configMap('none'))), '404 NotFound: configmaps "none" not found')
  })
  test('gives back a node port that is no longer wanted', async () => {
    const ns = await namespace()
    const service = (name: string, type: string, nodePort?: number) => ({ metadata: { name }, spec: { type, ports: [{ port: 80, ...(nodePort && { nodePort }) }] } })
    await send('POST', `${ns}/services`, service('a', 'NodePort', 30017))
    assert.match(await refusal(send('POST', `${ns}/services`, service('b', 'NodePort', 30017))), /provided port is already allocated/)
    await send('PUT', `${ns}/services/a`, service('a', 'ClusterIP'))
    await send('POST', `${ns}/services`, service('b', 'NodePort', 30017))
  })
})

describe('patch', () => {
  const patches: [type: string, patch: unknown, data: Record<string, string>][] = [
    ['application/merge-patch+json', { data: { a: null, c: 'd' } }, { c: 'd' }],
    ['application/json-patch+json', [{ op: 'replace', path: '/data/a', value: 'x' }], { a: 'x' }],
    ['application/strategic-merge-patch+json', { data: { c: 'd' } }, { a: 'b', c: 'd' }],
  ]
  for (const [type, patch, data] of patches) {
    test(type, async () => {
      const ns = await namespace()
      await send('POST', `${ns}/configmaps`, configMap('a'))
      assert.deepEqual((await send('PATCH', `${ns}/configmaps/a`, patch, type)).data, data)
    })
  }
  test('of concurrent patches none is lost', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a', {}))
    await Promise.all(Array.from({ length: 20 }, (_, n) => send('PATCH', `${ns}/configmaps/a`, { data: { [`k${n}`]: 'v' } }, 'application/merge-patch+json')))
    assert.equal(Object.keys((await send('GET', `${ns}/configmaps/a`)).data as object).length, 20)
  })
  test('refuses a version that has passed', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.match(await refusal(send('PATCH', `${ns}/configmaps/a`, { metadata: { resourceVersion: '1' } }, 'application/merge-patch+json')), /^409 Conflict/)
  })
  test('refuses an unknown field strictly, as a fault of the patch', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.equal(await refusal(send('PATCH', `${ns}/configmaps/a?fieldValidation=Strict`, { spec: { x: 1 } }, 'application/strategic-merge-patch+json')),
      '422 Invalid:  "" is invalid: patch: Invalid value: "map[spec:map[x:1]]": strict decoding error: unknown field "spec"')
  })
  test('refuses server-side apply and unknown types by name', async () => {
    const ns = await namespace()
    assert.match(await refusal(send('PATCH', `${ns}/configmaps/a`, {}, 'application/apply-patch+yaml')), /^415 UnsupportedMediaType: server-side apply/)
    assert.match(await refusal(send('PATCH', `${ns}/configmaps/a`, {}, 'application/json')), /^415 UnsupportedMediaType: the body of the request was in an unknown format/)
  })
})

describe('scale', () => {
  test('reads and writes replicas', async () => {
    const ns = apps(await namespace())
    await send('POST', `${ns}/deployments`, deployment('a'))
    const scale = await send('GET', `${ns}/deployments/a/scale`)
    assert.deepEqual([scale.kind, scale.apiVersion, scale.spec, scale.status], ['Scale', 'autoscaling/v1', { replicas: 1 }, { replicas: 0, selector: 'app=a' }])
    assert.equal((await send('PUT', `${ns}/deployments/a/scale`, { ...scale, spec: { replicas: 4 } })).spec.replicas, 4)
    assert.equal((await send('PATCH', `${ns}/deployments/a/scale`, { spec: { replicas: 0 } }, 'application/merge-patch+json')).spec.replicas, undefined)
    assert.equal((await send('GET', `${ns}/deployments/a`)).spec.replicas, 0)
    assert.match(await refusal(send('PUT', `${ns}/deployments/a/scale`, scale)), /^409 Conflict/)
    assert.match(await refusal(send('PATCH', `${ns}/deployments/a/scale`, { spec: { replicas: -1 } }, 'application/merge-patch+json')), /spec.replicas: Invalid value: -1: must be greater than or equal to 0/)
  })
  test('is not there for kinds without it', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.match(await refusal(send('GET', `${ns}/configmaps/a/scale`)), /^404 NotFound/)
  })
})

describe('delete', () => {
  test('answers what is gone', async () => {
    const ns = await namespace()
    const made = await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.deepEqual(await send('DELETE', `${ns}/configmaps/a`), { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name: 'a', kind: 'configmaps', uid: made.metadata.uid } })
    assert.match(await refusal(send('DELETE', `${ns}/configmaps/a`)), /^404 NotFound: configmaps "a" not found$/)
  })
  test('keeps its preconditions', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a'))
    assert.match(await refusal(send('DELETE', `${ns}/configmaps/a`, { preconditions: { uid: 'x' } })), /^409 Conflict: .*the UID in the precondition \(x\) does not match the UID in record/)
    assert.match(await refusal(send('DELETE', `${ns}/configmaps/a`, { preconditions: { resourceVersion: '1' } })), /^409 Conflict: .*the ResourceVersion in the precondition \(1\) does not match/)
  })
  test('a pod on a node is marked, and goes at grace 0', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/pods`, pod('a', { nodeName: 'n1' }))
    const marked = await send('DELETE', `${ns}/pods/a`)
    assert.equal(marked.metadata.deletionGracePeriodSeconds, 30)
    assert.ok(Date.parse(marked.metadata.deletionTimestamp!) > Date.now() + 25_000)
    const again = await send('DELETE', `${ns}/pods/a`)
    assert.equal(again.metadata.resourceVersion, marked.metadata.resourceVersion)
    assert.equal((await send('DELETE', `${ns}/pods/a?gracePeriodSeconds=5`)).metadata.deletionGracePeriodSeconds, 5)
    assert.equal((await send('DELETE', `${ns}/pods/a`, { gracePeriodSeconds: 0 })).kind, 'Status')
    assert.match(await refusal(send('GET', `${ns}/pods/a`)), /^404/)
  })
  test('a pod on no node goes at once', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/pods`, pod('a'))
    assert.equal((await send('DELETE', `${ns}/pods/a`, { gracePeriodSeconds: 30 })).kind, 'Status')
  })
  test('waits for finalizers', async () => {
    const ns = await namespace()
    await send('POST', `${ns}/configmaps`, configMap('a', {}, { finalizers: ['example.com/x'] }))
    const marked = await send('DELETE', `${ns}/configmaps/a`)
    assert.equal(marked.metadata.deletionGracePeriodSeconds, 0)
    const last = await send('PATCH', `${ns}/configmaps/a`, { metadata: { finalizers: null } }, 'application/merge-patch+json')
    assert.equal(last.metadata.finalizers, undefined)
    assert.match(await refusal(send('GET', `${ns}/configmaps/a`)), /^404/)
  })
  for (const [policy, finalizer] of [['Foreground', 'foregroundDeletion'], ['Orphan', 'orphan']] as const) {
    test(`propagationPolicy ${policy} leaves the rest to the garbage collector`, async () => {
      const ns = await namespace()
      await send('POST', `${ns}/configmaps`, configMap('a'))
      assert.deepEqual((await send('DELETE', `${ns}/configmaps/a`, { propagationPolicy: policy })).metadata.finalizers, [finalizer])
    })
  }
  test('of a collection takes what the selector names', async () => {
    const ns = await namespace()
    for (const [name, app] of [['a', 'x'], ['b', 'x'], ['c', 'y']]) await send('POST', `${ns}/configmaps`, configMap(name!, {}, { labels: { app } }))
    await send('DELETE', `${ns}/configmaps?labelSelector=app%3Dx`)
    assert.deepEqual((await send('GET', `${ns}/configmaps`)).items.map((item: KubeObject) => item.metadata.name), ['c'])
  })
  test('a namespace is marked Terminating, takes nothing new, and goes with its last finalizer', async () => {
    const ns = await namespace()
    const marked = await send('DELETE', ns)
    assert.equal(marked.status.phase, 'Terminating')
    const status = await refused(send('POST', `${ns}/configmaps`, configMap('a')))
    assert.match(status.message, /^configmaps "a" is forbidden: unable to create new content in namespace ns\d+ because it is being terminated$/)
    assert.equal(status.details?.causes?.[0]?.reason, 'NamespaceTerminating')
    await send('PUT', `${ns}/finalize`, { ...marked, spec: { finalizers: [] } })
    assert.match(await refusal(send('GET', ns)), /^404/)
  })
  test('does not take the system\'s namespaces', async () => {
    assert.equal(await refusal(send('DELETE', '/api/v1/namespaces/kube-system')), '403 Forbidden: namespaces "kube-system" is forbidden: this namespace may not be deleted')
  })
})

describe('list', () => {
  const names = (list: Json) => (list as KubeList<KubeObject> & Json).items.map(item => item.metadata.name)
  const five = async () => {
    const ns = await namespace()
    for (const name of ['a', 'b', 'c', 'd', 'e']) await send('POST', `${ns}/configmaps`, configMap(name, {}, { labels: { odd: String('ace'.includes(name)) } }))
    return `${ns}/configmaps`
  }
  test('in pages of one snapshot', async () => {
    const url = await five()
    const first = await send('GET', `${url}?limit=2`)
    await send('DELETE', `${url}/c`)
    await send('POST', url, configMap('bb'))
    const second = await send('GET', `${url}?limit=2&continue=${first.metadata.continue}`)
    const third = await send('GET', `${url}?limit=2&continue=${second.metadata.continue}`)
    assert.deepEqual([names(first), names(second), names(third)], [['a', 'b'], ['c', 'd'], ['e']])
    assert.deepEqual([first, second, third].map(({ metadata }) => [metadata.resourceVersion, metadata.remainingItemCount]),
      [3, 1, undefined].map(remaining => [first.metadata.resourceVersion, remaining]))
  })
  test('pages with a selector count matches', async () => {
    const url = await five()
    const first = await send('GET', `${url}?limit=2&labelSelector=odd%3Dtrue`)
    assert.deepEqual([names(first), first.metadata.remainingItemCount], [['a', 'c'], undefined])
    assert.deepEqual(names(await send('GET', `${url}?limit=2&labelSelector=odd%3Dtrue&continue=${first.metadata.continue}`)), ['e'])
  })
  test('by name', async () => {
    const url = await five()
    assert.deepEqual(names(await send('GET', `${url}?fieldSelector=metadata.name%3Dc`)), ['c'])
    assert.deepEqual(names(await send('GET', `${url}?fieldSelector=metadata.name%3Dnone`)), [])
    assert.deepEqual(names(await send('GET', `${url}?fieldSelector=metadata.name!%3Dc`)), ['a', 'b', 'd', 'e'])
  })
  test('exactly at a version', async () => {
    const url = await five()
    const then = await send('GET', url)
    await send('DELETE', `${url}/a`)
    assert.deepEqual(names(await send('GET', `${url}?resourceVersion=${then.metadata.resourceVersion}&resourceVersionMatch=Exact`)), names(then))
    assert.equal(names(await send('GET', `${url}?resourceVersion=${then.metadata.resourceVersion}&resourceVersionMatch=NotOlderThan`)).length, 4)
  })
  const refusals: [query: string, expected: RegExp][] = [
    ['resourceVersion=999999999', /^504 Timeout: Too large resource version: 999999999, current: \d+$/],
    ['resourceVersion=x', /^422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersion: Invalid value: "x"/],
    ['resourceVersionMatch=Exact', /resourceVersionMatch is forbidden unless resourceVersion is provided/],
    ['resourceVersionMatch=Exact&resourceVersion=0', /resourceVersionMatch "exact" is forbidden for resourceVersion "0"/],
    ['resourceVersionMatch=Nearly&resourceVersion=1', /Unsupported value: "Nearly"/],
    ['continue=nonsense', /^400 BadRequest: continue key is not valid/],
    ['limit=x', /^400 BadRequest: strconv.ParseInt: parsing "x": invalid syntax/],
    ['fieldSelector=spec.foo%3Dx', /^400 BadRequest: field label not supported: spec.foo$/],
    ['labelSelector=a%20in', /^400 BadRequest: unable to parse requirement/],
  ]
  for (const [query, expected] of refusals) test(`refuses ${query}`, async () => { assert.match(await refusal(send('GET', `/api/v1/configmaps?${query}`)), expected) })

  test('says when the snapshot is gone, and how to go on', async () => {
    const url = await five()
    const first = await send('GET', `${url}?limit=2`)
    await send('DELETE', `${url}/d`)
    await server.storage.compact(server.storage.revision)
    const { code, reason, metadata } = await refused(send('GET', `${url}?limit=2&continue=${first.metadata.continue}`))
    assert.deepEqual([code, reason], [410, 'Expired'])
    assert.deepEqual(names(await send('GET', `${url}?continue=${(metadata as { continue?: string }).continue}`)), ['c', 'e'])
    assert.match(await refusal(send('GET', `${url}?resourceVersion=${first.metadata.resourceVersion}&resourceVersionMatch=Exact`)), /^410 Expired: The resourceVersion for the provided list is too old.$/)
  })
})

describe('watch', () => {
  /** The next `length` events as `TYPE name data`. */
  const events = async (url: string, length: number, meanwhile: () => Promise<unknown> = async () => {}): Promise<string[]> => {
    const [path = '', search] = url.split('?')
    const abort = new AbortController()
    const seen: string[] = []
    const watching = api.watch({ method: 'GET', path, query: { watch: 'true', ...Object.fromEntries(new URLSearchParams(search)) }, signal: abort.signal })
    const done = (async () => {
      for await (const event of watching) if (seen.push(show(event)) === length) break
    })()
    await new Promise(resolve => setImmediate(resolve))
    await meanwhile()
    const late = setTimeout(() => abort.abort(), 2000)
    await done
    clearTimeout(late)
    return seen
  }
  const show = ({ type, object }: WatchEvent): string => {
    const { metadata, data, message, code } = object as Json
    return type === 'ERROR' ? `${type} ${String(code)} ${String(message)}` : type === 'BOOKMARK' ? `${type} ${JSON.stringify(metadata.annotations ?? {})}` : `${type} ${metadata.name} ${String(Object.values((data as object | undefined) ?? {}).join())}`
  }
  const put = (url: string, name: string, value: string, labels: Record<string, string> = {}) => send('PUT', `${url}/${name}`, configMap(name, { v: value }, { labels }))

  test('without a version begins with what is there', async () => {
    const url = `${await namespace()}/configmaps`
    await send('POST', url, configMap('a', { v: '1' }))
    assert.deepEqual(await events(url, 3, async () => { await put(url, 'a', '2'); await send('DELETE', `${url}/a`) }), ['ADDED a 1', 'MODIFIED a 2', 'DELETED a 2'])
  })
  test('from a version begins after it', async () => {
    const url = `${await namespace()}/configmaps`
    const { metadata } = await send('POST', url, configMap('a', { v: '1' }))
    await put(url, 'a', '2')
    assert.deepEqual(await events(`${url}?resourceVersion=${metadata.resourceVersion}`, 2, () => put(url, 'a', '3')), ['MODIFIED a 2', 'MODIFIED a 3'])
  })
  test('with a selector sees objects come and go', async () => {
    const url = `${await namespace()}/configmaps`
    const from = (await send('POST', url, configMap('a', { v: '1' }))).metadata.resourceVersion
    assert.deepEqual(await events(`${url}?resourceVersion=${from}&labelSelector=x%3Dy`, 4, async () => {
      await put(url, 'a', '2', { x: 'y' })
      await put(url, 'a', '3', { x: 'y' })
      await put(url, 'a', '4')
      await put(url, 'a', '5')
      await put(url, 'a', '6', { x: 'y' })
    }), ['ADDED a 2', 'MODIFIED a 3', 'DELETED a 3', 'ADDED a 6'])
  })
  test('a deleted object bears the version of its deletion', async () => {
    const url = `${await namespace()}/configmaps`
    const made = await send('POST', url, configMap('a'))
    await send('DELETE', `${url}/a`)
    for await (const { type, object } of api.watch({ method: 'GET', path: url, query: { watch: 'true', resourceVersion: made.metadata.resourceVersion! } })) {
      assert.deepEqual([type, (object as Json).metadata.resourceVersion], ['DELETED', String(server.storage.revision)])
      break
    }
  })
  test('sends the initial events and says when they are complete', async () => {
    const url = `${await namespace()}/configmaps`
    await send('POST', url, configMap('a', { v: '1' }))
    assert.deepEqual(await events(`${url}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`, 3, () => send('POST', url, configMap('b', { v: '2' }))),
      ['ADDED a 1', 'BOOKMARK {"k8s.io/initial-events-end":"true"}', 'ADDED b 2'])
  })
  test('of one object', async () => {
    const url = `${await namespace()}/configmaps`
    await send('POST', url, configMap('a', { v: '1' }))
    await send('POST', url, configMap('ab', { v: '1' }))
    assert.deepEqual(await events(`${url}?fieldSelector=metadata.name%3Da`, 2, async () => { await put(url, 'ab', '2'); await put(url, 'a', '3') }), ['ADDED a 1', 'MODIFIED a 3'])
  })
  test('from a forgotten version ends with an error event', async () => {
    const url = `${await namespace()}/configmaps`
    await send('POST', url, configMap('a'))
    await server.storage.compact(server.storage.revision)
    const compacted = server.storage.compactedRevision
    assert.deepEqual(await events(`${url}?resourceVersion=1`, 2), [`ERROR 410 too old resource version: 1 (${compacted})`])
  })
  test('ends after timeoutSeconds', async () => {
    const url = `${await namespace()}/configmaps`
    assert.deepEqual(await events(`${url}?timeoutSeconds=1`, 1), [])
  })
  test('refuses options that do not belong together', async () => {
    const refusals: Record<string, RegExp> = {
      'sendInitialEvents=true': /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
      'resourceVersionMatch=NotOlderThan&resourceVersion=1': /resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided/,
    }
    for (const [query, expected] of Object.entries(refusals)) {
      const watching = api.watch({ method: 'GET', path: '/api/v1/configmaps', query: { watch: 'true', ...Object.fromEntries(new URLSearchParams(query)) } })
      assert.match(await refusal(watching[Symbol.asyncIterator]().next()), expected)
    }
  })
})

describe('events of both APIs', () => {
  test('are one storage', async () => {
    const ns = await namespace()
    const name = ns.split('/').at(-1)
    await send('POST', `${ns}/events`, { metadata: { name: 'e' }, involvedObject: { kind: 'Pod', name: 'p', namespace: name }, reason: 'R', message: 'hello', type: 'Normal' })
    const modern = await send('GET', `/apis/events.k8s.io/v1/namespaces/${name}/events/e`)
    assert.deepEqual([modern.apiVersion, modern.note, modern.regarding.name], ['events.k8s.io/v1', 'hello', 'p'])
    assert.equal((await send('GET', `${ns}/events?fieldSelector=involvedObject.name%3Dp`)).items.length, 1)
  })
})

describe('what is not served', () => {
  const refusals: [method: ApiRequest['method'], path: string, expected: RegExp][] = [
    ['GET', '/api/v1/foos', /^404 NotFound: the server could not find the requested resource$/],
    ['GET', '/apis/none/v1/foos', /^404/],
    ['GET', '/nonsense', /^404/],
    ['DELETE', '/version', /^405/],
    ['POST', '/api/v1/namespaces/default/configmaps/a', /^405 MethodNotAllowed/],
    ['GET', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', /^405 MethodNotAllowed/],
    ['GET', '/api/v1/namespaces/default/pods/%zz', /^400/],
  ]
  for (const [method, path, expected] of refusals) test(`${method} ${path}`, async () => { assert.match(await refusal(send(method, path)), expected) })
})
