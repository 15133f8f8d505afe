// Runs a test file a second time inside namespaces of its own, so that tests can change networks and
// mounts without the machine noticing: `isolated(import.meta.url, ways, define)`. For tests only.
import { spawn } from 'node:child_process'
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mount } from './libc.ts'
import { openRtnetlink } from './rtnetlink.ts'

/** `root` needs root; `user` is an ordinary user's user namespace, in which only uid 0 exists. */
export type Way = 'root' | 'user'
const marker = 'FAIRWAY_ISOLATED'

/** Inside, `define` declares the tests; outside, each way is one test that fails when any of those did. */
export function isolated(url: string, ways: readonly Way[], define: (way: Way) => void): void {
  const inside = process.env[marker] as Way | undefined
  if (inside) {
    becomeMachine()
    define(inside)
    return
  }
  const isRoot = process.getuid!() === 0
  for (const way of ways) {
    const skip = way === 'root' && !isRoot ? 'needs root' : false
    test(`in namespaces of its own (${way === 'root' ? 'as root' : 'as an ordinary user'})`, { skip }, () => again(fileURLToPath(url), way, isRoot))
  }
}

const nobody = 65534
async function again(file: string, way: Way, isRoot: boolean): Promise<void> {
  const namespaces = ['--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--propagation', 'private']
  // An interrupted test takes it along.
  const drop = ['setpriv', '--pdeathsig', 'KILL', ...(way === 'user' && isRoot ? [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : [])]
  const argv = [...drop, 'unshare', ...(way === 'user' ? ['--user', '--map-root-user'] : []), ...namespaces, process.execPath, '--disable-warning=ExperimentalWarning', file]
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(argv[0]!, argv.slice(1), { env: { ...env, [marker]: way, HOME: tmpdir() }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const code = await new Promise(resolve => child.on('close', resolve))
  assert.equal(code, 0, `\n${output}`)
  if (process.env.VERBOSE) process.stdout.write(output)
}

/** The files and the loopback that `fairway up` gives a cluster: a private /proc and /run. */
function becomeMachine(): void {
  mount({ source: 'proc', target: '/proc', type: 'proc' })
  mount({ source: 'tmpfs', target: '/run', type: 'tmpfs', data: 'mode=755' })
  mkdirSync('/run/netns')
  mount({ source: '/run/netns', target: '/run/netns', flags: ['MS_BIND'] })
  mount({ target: '/run/netns', flags: ['MS_SHARED'] })
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  const links = openRtnetlink()
  links.setUp(1)
  links.close()
}
