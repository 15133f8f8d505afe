// The small pure parts: users, capabilities, addresses, what runs with which environment and mounts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerConfig } from '../cri.ts'
import { capabilitySet } from './capabilities.ts'
import { nextOffset, podRange } from './ipam.ts'
import { argv, checkMounts, environment, rootPlan } from './spec.ts'
import { resolveUser } from './user.ts'

const files = { passwd: 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\nbroken\n', group: 'root:x:0:\nweb:x:34:\nextra:x:44:other,web\nlog:x:55:web\n' }
const users: Record<string, { user: string; group?: number; more?: number[]; is: [uid: number, gid: number, groups: number[], home: string] }> = {
  'nothing': { user: '', is: [0, 0, [0], '/root'] },
  'a name': { user: 'web', is: [33, 34, [34, 44, 55], '/srv'] },
  'a number with an account': { user: '33', is: [33, 34, [34, 44, 55], '/srv'] },
  'a number without one': { user: '1000', is: [1000, 0, [0], '/'] },
  'name and group name': { user: 'web:extra', is: [33, 44, [44, 55], '/srv'] },
  'numbers': { user: '5:6', is: [5, 6, [6], '/'] },
  'runAsGroup and supplemental groups': { user: '5:6', group: 7, more: [8, 7], is: [5, 7, [7, 8], '/'] },
}
for (const [name, { user, group, more = [], is: [uid, gid, groups, home] }] of Object.entries(users)) test(`user: ${name}`, () => {
  assert.deepEqual(resolveUser({ user, group, supplementalGroups: more }, files), { uid, gid, groups, home })
})
test('user: names that are not there', () => {
  const resolve = (user: string) => () => resolveUser({ user, group: undefined, supplementalGroups: [] }, files)
  assert.throws(resolve('nobody'), /unable to find user nobody: no matching entries in passwd file/)
  assert.throws(resolve('web:none'), /unable to find group none/)
})

test('capabilities', () => {
  const set = (addCapabilities: string[], dropCapabilities: string[], privileged = false) => capabilitySet({ privileged, addCapabilities, dropCapabilities })
  assert.equal(set([], []), 0xa80425fbn)
  assert.equal(set(['net_admin', 'CAP_SYS_TIME'], ['ALL']), 1n << 12n | 1n << 25n)
  assert.equal(set(['ALL'], ['KILL']), (1n << 41n) - 1n - (1n << 5n))
  assert.equal(set([], ['NET_RAW']), 0xa80405fbn)
  assert.equal(set([], ['ALL'], true), (1n << 41n) - 1n)
  assert.throws(() => set(['FLY'], []), /unknown capability "FLY"/)
})

test('addresses: the next free one, around the end, none left', () => {
  const range = podRange('10.244.1.0/29')
  assert.deepEqual([range.gateway, range.prefix, range.address(6), range.last], ['10.244.1.1', 29, '10.244.1.6', 6])
  assert.equal(nextOffset(range, new Set(), 1), 2)
  assert.equal(nextOffset(range, new Set([3]), 2), 4)
  assert.equal(nextOffset(range, new Set([2]), 6), 3)
  assert.equal(nextOffset(range, new Set([2, 3, 4, 5, 6]), 4), undefined)
  assert.throws(() => podRange('10.0.0.0/31'), /at least 4 addresses/)
})

const image = { entrypoint: ['/entry'], cmd: ['a'], env: ['B=image', 'C=image', 'PATH=/image'], workingDir: '/w', user: '', stopSignal: '', exposedPorts: [] }
const config = (more: Partial<ContainerConfig> = {}): ContainerConfig => ({
  name: 'c', attempt: 0, imageId: '', command: [], args: [], workingDir: '', env: [['B', 'own']], mounts: [], stdin: false, tty: false, logPath: '', resources: {},
  security: { privileged: false, supplementalGroups: [], readonlyRootFilesystem: false, addCapabilities: [], dropCapabilities: [], noNewPrivileges: false }, ...more })
test('command and args over entrypoint and cmd', () => {
  assert.deepEqual(argv(config(), image), ['/entry', 'a'])
  assert.deepEqual(argv(config({ args: ['b'] }), image), ['/entry', 'b'])
  assert.deepEqual(argv(config({ command: ['x'] }), image), ['x'])
  assert.throws(() => argv(config(), { ...image, entrypoint: [], cmd: [] }), /no command specified/)
})
test('environment', () => {
  assert.deepEqual(environment(config({ tty: true }), image, 'h'), ['PATH=/image', 'TERM=xterm', 'HOSTNAME=h', 'B=own', 'C=image'])
})
test('mounts: outer before inner, a volume over the pod\'s own file wins', () => {
  const mounts = ['/a/b', '/a', '/etc/hosts'].map(containerPath => ({ hostPath: `/v${containerPath}`, containerPath, readonly: false }))
  const plan = rootPlan(config({ mounts }), { lowerDirs: [], usrFromHost: true, config: image, binds: [{ hostPath: '/opt/f', containerPath: '/opt/f' }] }, { sandbox: '/s', container: '/s/c', userxattr: false })
  assert.deepEqual(plan.binds.map(bind => `${bind.source} ${bind.target}`), ['/opt/f /opt/f', '/s/resolv.conf /etc/resolv.conf', '/s/hostname /etc/hostname', '/v/a /a', '/v/a/b /a/b', '/v/etc/hosts /etc/hosts'])
})
test('mounts that would cover /proc or everything', () => {
  const check = (containerPath: string) => () => checkMounts(config({ mounts: [{ hostPath: '/x', containerPath, readonly: false }] }))
  for (const path of ['/', '', '//', '/proc', '/proc/', '/proc/sys', './proc', '/a/../proc', '/..']) assert.throws(check(path), /cannot be mounted/, path)
  for (const path of ['/process', '/data/proc', '/srv']) check(path)()
})
