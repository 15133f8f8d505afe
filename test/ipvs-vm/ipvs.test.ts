// The ipvs mode of the proxy on a kernel that has IPVS: its tests that need one, run in the throw-away
// virtual machine of run.sh. Where this machine's own kernel has IPVS they run here anyway, beside the code.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const files = ['packets', 'apply'].map(name => `src/proxy/ipvs/${name}.root.test.ts`)

/** What the command printed, and its exit status. */
async function inVirtualMachine(argv: readonly string[], timeoutSeconds: number): Promise<{ status: number; output: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(join(import.meta.dirname, 'run.sh'), argv, { cwd: root, env: { ...env, FAIRWAY_VM_TIMEOUT: String(timeoutSeconds), FAIRWAY_VM_ENV: 'SEED' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const status = await new Promise<number>(resolve => child.on('close', code => resolve(code ?? -1)))
  return { status, output }
}

test('packets, transitions and goldens of the ipvs mode, in a virtual machine', async t => {
  // An emulated machine takes minutes of a processor: it is started when asked for.
  if (!process.env.FAIRWAY_TEST_VM) return t.skip('takes minutes in an emulated machine: run with FAIRWAY_TEST_VM=1')
  if (process.getuid?.() !== 0) return t.skip('needs root: the virtual machine reads this machine\'s files')
  const started = performance.now()
  const tools = 'modprobe -a ip_vs sctp && for tool in "ipvsadm -L -n" "ipset list -n" "iptables --version" "ip6tables --version"; do $tool >/dev/null || exit 77; done; exec "$@"'
  const { status, output } = await inVirtualMachine(['sh', '-c', tools, 'sh', process.execPath, '--disable-warning=ExperimentalWarning', '--test', '--test-isolation=none', '--test-reporter=tap', ...files], 600)
  if (status === 77) return t.skip(output.trim())
  assert.equal(status, 0, output)
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(output)?.[1])
  assert.equal(count('skipped'), 0, output)
  assert.ok(count('pass') > 100, output)
  t.diagnostic(`${count('pass')} tests in ${Math.round((performance.now() - started) / 1000)} s`)
})
