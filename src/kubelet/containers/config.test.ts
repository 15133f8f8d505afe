import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodSpec, Secret, SecurityContext } from '#api/core/v1.ts'
import { aPod, aSpec } from '../testing.ts'
import { containerConfig } from './config.ts'
import { registryAuths } from './pull-secrets.ts'
import { containerSecurity } from './security.ts'

const image = { id: 'sha256:w', tags: ['web:1'], digests: [], sizeBytes: 1 }

test('command and arguments see the environment; limits become numbers; the log has its place', () => {
  const container = aSpec('c', { command: ['/bin/$(A)'], args: ['$(B)', '$$(A)'], resources: { limits: { memory: '64Mi', cpu: '250m' } } })
  const config = containerConfig({ pod: aPod(), container, attempt: 3, image, env: [['A', 'sh']], mounts: [], logRoot: '/n/log/pods' })
  assert.deepEqual([config.command, config.args], [['/bin/sh'], ['$(B)', '$(A)']])
  assert.deepEqual(config.resources, { memoryLimitBytes: 64 << 20, cpuLimitMilli: 250, cpuRequestMilli: 250 })
  assert.equal(config.logPath, '/n/log/pods/default_p_u/c/3.log')
})

const security = (own: SecurityContext, shared: PodSpec['securityContext'] = {}, user?: string) => {
  const container = aSpec('c', { securityContext: own })
  return containerSecurity(aPod({ containers: [container], securityContext: shared }), container, user)
}
test('the container goes before the pod', () => {
  assert.deepEqual(security({ runAsUser: 5, capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] }, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }, { runAsUser: 6, runAsGroup: 7, fsGroup: 8, supplementalGroups: [9, 8] }), {
    privileged: false, runAsUser: 5, runAsGroup: 7, supplementalGroups: [9, 8], readonlyRootFilesystem: true, addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'], noNewPrivileges: true })
})
for (const [own, user, message] of [
  [{ runAsNonRoot: true }, undefined, /^container has runAsNonRoot and image will run as root \(pod: "p_default\(u\)", container: c\)$/],
  [{ runAsNonRoot: true }, '0:0', /image will run as root/],
  [{ runAsNonRoot: true }, 'nginx', /image has non-numeric user \(nginx\), cannot verify user is non-root/],
  [{ runAsNonRoot: true, runAsUser: 0 }, '101', /^container's runAsUser breaks non-root policy/],
] as [SecurityContext, string | undefined, RegExp][]) test(`${JSON.stringify(own)}, image user ${user}`, () => assert.throws(() => security(own, {}, user), { message }))
for (const [own, user] of [[{ runAsNonRoot: true }, '101:101'], [{ runAsNonRoot: true, runAsUser: 5 }, undefined], [{ runAsNonRoot: false }, undefined]] as [SecurityContext, string | undefined][])
  test(`${JSON.stringify(own)}, image user ${user} is fine`, () => assert.doesNotThrow(() => security(own, {}, user)))

const dockerConfig = (auths: object): Secret => ({ metadata: { name: 's' }, type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') } })
const auth = (user: string) => ({ auth: Buffer.from(`${user}:p:w`).toString('base64') })
for (const [imageName, auths, users] of [
  ['nginx', { 'https://index.docker.io/v1/': auth('hub') }, ['hub']],
  ['example.com/team/app:1', { 'example.com': auth('all'), 'https://example.com/team': auth('team'), 'example.com/other': auth('other') }, ['team', 'all']],
  ['eu.example.com/app', { '*.example.com': auth('star') }, ['star']],
  ['localhost:5000/app', { 'localhost:5000': { username: 'plain', password: 'x' } }, ['plain']],
  ['example.org/app', { 'example.com': auth('no') }, []],
] as [string, object, string[]][]) test(`credentials for ${imageName}`, () => assert.deepEqual(registryAuths(imageName, [dockerConfig(auths)]).map(({ username }) => username), users))
test('a password may hold a colon; a broken secret gives nothing', () => {
  assert.deepEqual(registryAuths('nginx', [dockerConfig({ 'docker.io': auth('u') })]), [{ username: 'u', password: 'p:w' }])
  assert.deepEqual(registryAuths('nginx', [{ metadata: { name: 's' }, type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'eHg=' } }]), [])
})
