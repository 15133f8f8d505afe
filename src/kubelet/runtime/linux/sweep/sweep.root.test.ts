// What is left when the runtime is killed in the middle, and that the next one clears it away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isolated } from '#host/isolated.ts'
import { netnsPath } from '#host/netns.ts'
import { run } from '#host/run.ts'
import { Machine } from '../testing/apply.ts'

/** Another process with a runtime of node n1 in the same directory; it runs three pods and says so. */
const program = (url: string, directory: string, way: string) => `
  const { Machine } = await import(${JSON.stringify(url)})
  const machine = new Machine(${JSON.stringify(way)}, ${JSON.stringify(directory)})
  machine.runtimes.push(await machine.runtime('n1'))
  for (let i = 0; i < 3; i++) await machine.pod({ script: 'sleep 4242 & sleep 4242', resources: { memoryLimitBytes: 64 << 20 } })
  console.log('ready')
  setInterval(() => {}, 1000)`

isolated(import.meta.url, ['root', 'user'], way => {
  const machine = new Machine(way)
  before(() => machine.start())
  let child: ChildProcess
  after(() => { child.kill('SIGKILL'); return machine.stop() })

  const veths = async () => (JSON.parse((await run(['ip', '-json', 'link', 'show', 'type', 'veth'], { netns: netnsPath('n1') })).stdout) as { ifname: string }[]).filter(link => link.ifname.startsWith('veth')).length
  const processes = () => readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(name => { try { return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes('4242') && !readFileSync(`/proc/${name}/cmdline`, 'latin1').includes('node') } catch { return false } }).length
  const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(line => line.includes(machine.directory)).length
  const named = () => readdirSync('/run/netns').filter(name => name.length === 64).length
  const groups = () => readdirSync('/sys/fs/cgroup').flatMap(hierarchy => { try { return readdirSync(`/sys/fs/cgroup/${hierarchy}/${basename(machine.directory)}/n1`) } catch { return [] } }).filter(name => name.length === 64).length

  test('kill -9 of the runtime ends every process; the next runtime removes the rest', async () => {
    const url = new URL('../testing/apply.ts', import.meta.url).href
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program(url, machine.directory, way)], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise(resolve => child.stdout!.once('data', resolve))
    for (let i = 0; i < 300 && processes() < 9; i++) await sleep(10)
    const left = () => readdirSync(join(machine.directory, 'sandboxes/n1')).length
    assert.deepEqual({ processes: processes(), veths: await veths(), mounts: mounts(), named: named(), left: left() }, { processes: 9, veths: 3, mounts: 3, named: 3, left: 3 })
    if (way === 'root') assert.equal(groups(), 3)
    child.kill('SIGKILL')
    for (let i = 0; i < 200 && processes() > 0; i++) await sleep(10)
    assert.equal(processes(), 0)
    const next = await machine.runtime('n1')
    assert.deepEqual({ veths: await veths(), mounts: mounts(), named: named(), left: left(), groups: groups() }, { veths: 0, mounts: 0, named: 0, left: 0, groups: 0 })
    assert.deepEqual([next.listPodSandboxes(), next.listContainers()], [[], []])
  })
})
