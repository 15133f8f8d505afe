import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodSpec, Volume } from '#api/core/v1.ts'
import { aPod, aSpec } from '../testing.ts'
import { payloadFolder, staleNames, userLinks } from './atomic.ts'
import { refreshAt, tokenWishes, volumePlan, type VolumeContext } from './plan.ts'

const context: VolumeContext = {
  podIps: ['10.244.1.2'], hostIps: ['192.168.109.101'], allocatable: { cpu: '2' }, token: ({ audience }) => `token for ${audience || 'the API'}`,
  objects: {
    configMap: (_, name) => name === 'm' ? { metadata: { name }, data: { a: 'A', b: 'B' }, binaryData: { c: 'AAE=' } } : undefined,
    secret: (_, name) => name === 's' ? { metadata: { name }, data: { k: Buffer.from('secret').toString('base64') } } : undefined,
  },
}
const plan = (volume: Omit<Volume, 'name'>, spec: Partial<PodSpec> = {}) => volumePlan(aPod({ volumes: [{ name: 'v', ...volume }], ...spec }, { labels: { x: 'y"z', a: 'b' } }), { name: 'v', ...volume }, context)
/** `a=A 644` a file. */
function files(volume: Omit<Volume, 'name'>, spec: Partial<PodSpec> = {}): string[] {
  const made = plan(volume, spec)
  assert.equal(made.kind, 'files')
  return made.kind === 'files' ? [...made.files].map(([path, { data, mode, uid }]) => `${path}=${data} ${mode.toString(8)}${uid === undefined ? '' : ` of ${uid}`}`) : []
}

for (const [what, volume, expected] of [
  ['all keys', { configMap: { name: 'm', items: [] } }, ['a=A 644', 'b=B 644', 'c=\0\x01 644']],
  ['chosen keys at their paths and modes', { configMap: { name: 'm', defaultMode: 0o400, items: [{ key: 'a', path: 'x/y' }, { key: 'b', path: 'z', mode: 0o755 }] } }, ['x/y=A 400', 'z=B 755']],
  ['optional and absent', { configMap: { name: 'none', optional: true, items: [] } }, []],
  ['a secret', { secret: { secretName: 's', items: [] } }, ['k=secret 644']],
  ['the downward API', { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }, { path: 'cpu', resourceFieldRef: { containerName: 'c', resource: 'limits.cpu' } }] } }, ['labels=a="b"\nx="y\\"z" 644', 'cpu=2 644']],
  ['projected together', { projected: { defaultMode: 0o440, sources: [{ configMap: { name: 'm', items: [{ key: 'a', path: 'a' }] } }, { secret: { name: 's', items: [] } }, { downwardAPI: { items: [{ path: 'ns', fieldRef: { fieldPath: 'metadata.namespace' } }] } }, { serviceAccountToken: { path: 'token', audience: 'x' } }] } },
    ['a=A 440', 'k=secret 440', 'ns=default 440', 'token=token for x 440']],
] as [string, Omit<Volume, 'name'>, string[]][]) test(what, () => assert.deepEqual(files(volume), expected))

const token = { projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }
test('a token is its one user\'s alone, or the group\'s', () => {
  assert.deepEqual(files(token, { securityContext: { runAsUser: 7 } }), ['token=token for the API 600 of 7'])
  assert.deepEqual(files(token, { containers: [aSpec('a', { securityContext: { runAsUser: 7 } }), aSpec('b')] }), ['token=token for the API 644'])
  assert.deepEqual(files(token, { securityContext: { runAsUser: 7, fsGroup: 8 } }), ['token=token for the API 640'])
  assert.deepEqual(tokenWishes(aPod({ volumes: [{ name: 'v', ...token }] })), [{ volume: 'v', path: 'token', audience: '', expirationSeconds: 3600 }])
})

for (const [volume, message] of [
  [{ configMap: { name: 'none', items: [] } }, 'configmap "none" not found'],
  [{ secret: { secretName: 'none', items: [] } }, 'secret "none" not found'],
  [{ configMap: { name: 'm', items: [{ key: 'zz', path: 'p' }] } }, 'configmap references non-existent config key: zz'],
  [{ nfs: { server: 'x', path: '/' } }, 'volume type nfs is not supported by this kubelet: use emptyDir, hostPath, configMap, secret, downwardAPI or projected'],
] as [Omit<Volume, 'name'>, string][]) test(message, () => assert.throws(() => plan(volume), { message, volume: 'v' }))

test('the other kinds', () => {
  assert.deepEqual(plan({ emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }), { name: 'v', kind: 'emptyDir', memory: true, sizeBytes: 1 << 20 })
  assert.deepEqual(plan({ hostPath: { path: '/x', type: 'File' } }), { name: 'v', kind: 'hostPath', path: '/x', type: 'File' })
})

test('atomic layout', () => {
  assert.match(payloadFolder(Date.UTC(2026, 10, 21, 1, 2, 3, 45), 7), /^\.\.2026_11_21_01_02_03\.045000007$/)
  const links = userLinks(['a', 'd/x', 'd/y'])
  assert.deepEqual([...links], [['a', '..data/a'], ['d', '..data/d']])
  assert.deepEqual(staleNames(['..data', '..2026', 'a', 'old'], links), ['old'])
})

test('tokens are renewed at 80 % of their life, at the latest after a day', () => {
  assert.equal(refreshAt(0, 3_600_000), 2_880_000)
  assert.equal(refreshAt(0, 365 * 86_400_000), 86_400_000)
})
