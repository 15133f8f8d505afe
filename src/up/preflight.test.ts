import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { listenOnLoopback, namespaceRemedy } from './preflight.ts'

const cases: [name: string, stderr: string, asUser: boolean, sysctls: Record<string, string>, remedy: RegExp][] = [
  ['Ubuntu\'s AppArmor rule', 'unshare: write failed /proc/self/uid_map: Operation not permitted', true,
    { 'kernel.apparmor_restrict_unprivileged_userns': '1' }, /AppArmor forbids.*sysctl -w kernel\.apparmor_restrict_unprivileged_userns=0/],
  ['Debian\'s old switch', 'unshare: unshare failed: Operation not permitted', true, { 'kernel.unprivileged_userns_clone': '0' }, /unprivileged_userns_clone=1/],
  ['no user namespace allowed', 'unshare: unshare failed: No space left on device', true, { 'user.max_user_namespaces': '0' }, /max_user_namespaces=15000/],
  ['a masked /proc', 'mount: /proc: permission denied.', false, {}, /does not let a new namespace mount \/proc/],
  ['root without the rights', 'unshare: unshare failed: Operation not permitted', false, {}, /cannot make namespaces: unshare: unshare failed: Operation not permitted$/],
  ['anything else, as a user', 'unshare: odd', true, {}, /cannot make namespaces: unshare: odd; run fairway with sudo/],
]
for (const [name, stderr, asUser, sysctls, remedy] of cases) test(`${name} has its remedy`, () => {
  assert.match(namespaceRemedy(stderr, asUser, key => sysctls[key]), remedy)
})

test('a port that is asked for and taken is refused; without asking, another one is used', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  try {
    await assert.rejects(listenOnLoopback(port), new RegExp(`--api-port ${port}: another program listens on 127\\.0\\.0\\.1:${port}`))
  } finally { taken.close() }
  const got = await listenOnLoopback(undefined)
  got.server.close()
  assert.equal(got.instead, got.port !== 6443)
})
