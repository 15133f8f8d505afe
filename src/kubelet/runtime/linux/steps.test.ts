import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Step } from '#host/program.ts'
import { candidates, execSteps, startFailure, startSteps } from './steps.ts'
import type { StepsInput } from './steps.ts'

const input = (more: Partial<StepsInput['process']> = {}, uid = 0): StepsInput => ({
  process: { argv: ['web', '-x'], env: ['PATH=/a:/b', 'A=1'], workingDir: '/srv', user: '', group: undefined, supplementalGroups: [], capabilities: 1n << 10n, privileged: false, noNewPrivileges: false, ...more },
  user: { uid, gid: uid, groups: [uid], home: '/home' }, terminal: false, cgroups: 1,
  machine: { lastCapability: 12, boundingSet: 0x1fffn, maxFiles: 1024, setgroups: true },
})
const calls = (steps: readonly Step[]) => steps.map(step => step.call)
const place = (steps: readonly Step[], what: string) => steps.findIndex(step => step.call === what || step.what === what)

test('the order: cgroup, proc, pivot_root, capabilities, user, exec', () => {
  const steps = startSteps(input(), '/r')
  const order = ['join the cgroup', 'close descriptors', 'mount proc', 'pivot_root', 'detach the machine\'s files', 'drop capability 0', 'setgroups', 'setresgid', 'setresuid', 'capset', 'execve', 'exit_group'].map(what => place(steps, what))
  assert.deepEqual(order, order.toSorted((a, b) => a - b))
  assert.ok(!order.includes(-1))
})

test('what depends on the process', () => {
  assert.equal(place(startSteps(input({ privileged: true }), '/r'), 'lock /proc/sys'), -1)
  assert.notEqual(place(startSteps(input(), '/r'), 'lock /proc/sys'), -1)
  assert.equal(place(startSteps(input({}, 33), '/r'), 'capset'), -1, 'only root has capabilities to keep')
  assert.notEqual(place(startSteps(input({ noNewPrivileges: true }), '/r'), 'set no_new_privs'), -1)
  assert.equal(calls(startSteps({ ...input(), terminal: true }, '/r')).includes('ioctl'), true)
  assert.equal(calls(startSteps({ ...input(), machine: { ...input().machine, setgroups: false } }, '/r')).includes('setgroups'), false)
  assert.deepEqual(startSteps(input(), '/r').filter(step => step.what?.startsWith('drop')).map(step => step.args[1]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12])
})

test('an exec joins the mounts and does not mount', () => {
  const steps = execSteps(input())
  assert.deepEqual(steps.find(step => step.call === 'setns')!.args[0], 6)
  assert.ok(!calls(steps).includes('mount') && !calls(steps).includes('pivot_root'))
})

test('where a command may be', () => {
  assert.deepEqual(candidates('web', ['PATH=/x', 'PATH=/a::/b']), ['/a/web', './web', '/b/web'])
  assert.deepEqual(candidates('./web', ['PATH=/a']), ['./web'])
  assert.equal(candidates('web', []).length, 6)
})

test('HOME is the user\'s unless set', () => {
  const env = (more: Partial<StepsInput['process']>) => (startSteps(input(more), '/r').find(step => step.call === 'execve')!.args[2] as { strings: string[] }).strings
  assert.deepEqual(env({}), ['PATH=/a:/b', 'A=1', 'HOME=/home'])
  assert.deepEqual(env({ env: ['HOME=/own'] }), ['HOME=/own'])
})

const steps = startSteps(input(), '/r')
const [first, second] = steps.flatMap((step, index) => step.call === 'execve' ? [index] : []) as [number, number]
const masks = steps.findIndex(step => step.mayFail)
const meanings: Record<string, { failed: { index: number; errno: string }[]; argv?: string[]; answer: ReturnType<typeof startFailure> }> = {
  'nothing failed': { failed: [], answer: undefined },
  'only what may fail, and the first place in PATH': { failed: [{ index: masks, errno: 'ENOENT' }, { index: first, errno: 'ENOENT' }], answer: undefined },
  'in no place of PATH': { failed: [{ index: first, errno: 'ENOENT' }, { index: second, errno: 'ENOTDIR' }], answer: { message: 'exec: "web": executable file not found in $PATH', exitCode: 127 } },
  'not executable in one': { failed: [{ index: first, errno: 'EACCES' }, { index: second, errno: 'ENOENT' }], answer: { message: 'exec: "web": permission denied', exitCode: 126 } },
  'of another architecture': { failed: [{ index: first, errno: 'ENOENT' }, { index: second, errno: 'ENOEXEC' }], answer: { message: 'exec: "web": exec format error', exitCode: 126 } },
  'no proc': { failed: [{ index: place(steps, 'mount proc'), errno: 'EPERM' }], answer: { message: 'mount proc: operation not permitted', exitCode: 128 } },
  'no working directory': { failed: [{ index: steps.findLastIndex(step => step.call === 'chdir'), errno: 'EACCES' }], answer: { message: 'chdir to cwd ("/srv") set in config.json failed: permission denied', exitCode: 128 } },
}
for (const [name, { failed, answer }] of Object.entries(meanings)) test(`what failures mean: ${name}`, () => {
  assert.deepEqual(startFailure(steps, failed, ['web', '-x']), answer)
})
