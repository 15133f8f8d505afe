import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { compile, failures, interpreter, interpreterPath, listDescriptor, listFd, reportFd } from './program.ts'
import type { Step } from './program.ts'

const cloexec: Step = { call: 'fcntl', args: [reportFd, { or: ['F_SETFD'] }, { or: ['FD_CLOEXEC'] }] }
const exit = (status: number): Step => ({ call: 'exit_group', args: [status] })

async function perform(steps: readonly Step[]) {
  const list = listDescriptor(steps)
  const child = spawn(interpreterPath(), [], { stdio: ['ignore', 'pipe', 'inherit', 'pipe', list] })
  closeSync(list)
  const gather = async (stream: NodeJS.ReadableStream) => Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>))
  const [output, report, status] = await Promise.all([gather(child.stdout!), gather(child.stdio[3] as NodeJS.ReadableStream), new Promise(resolve => child.on('exit', resolve))])
  return { output: output.toString(), failed: failures(report), status }
}

test('steps are done in order, strings and arrays of strings arrive', async () => {
  const steps: Step[] = [cloexec, { call: 'chdir', args: ['/proc'] }, { call: 'execve', args: ['/bin/sh', { strings: ['sh', '-c', 'pwd; echo $A'] }, { strings: ['A=some text', 'PATH=/bin:/usr/bin'] }] }]
  assert.deepEqual(await perform(steps), { output: '/proc\nsome text\n', failed: [], status: 0 })
})

test('a failure is reported by its place; one that may not fail ends the process', async () => {
  const missing: Step = { call: 'chdir', args: ['/no/such'] }
  assert.deepEqual(await perform([cloexec, { ...missing, mayFail: true }, exit(3)]), { output: '', failed: [{ index: 1, errno: 'ENOENT' }], status: 3 })
  assert.deepEqual(await perform([cloexec, missing, exit(3)]), { output: '', failed: [{ index: 1, errno: 'ENOENT' }], status: 125 })
})

test('the steps can close what was inherited', async () => {
  const steps: Step[] = [cloexec, { call: 'close_range', args: [listFd, 0xffffffff, 0] }, { call: 'execve', args: ['/bin/ls', { strings: ['ls', '/proc/self/fd'] }, { strings: [] }] }]
  assert.equal((await perform(steps)).output, '0\n1\n2\n3\n')
})

test('numbers are 64 bit, negative ones too; too much data is refused', () => {
  const entry = compile([{ call: 'mkdirat', args: [-100, 'x', 0o755] }])
  assert.equal(entry.readBigInt64LE(8), -100n)
  assert.equal(entry.toString('latin1', 64, 65), 'x')
  assert.throws(() => compile([{ call: 'chdir', args: ['x'.repeat(5 << 20)] }]), /more than/)
})

test('the interpreter is a small ELF file for its machine', () => {
  assert.deepEqual([interpreter('x64').readUInt16LE(18), interpreter('arm64').readUInt16LE(18)], [62, 183])
  assert.ok(interpreter('arm64').length < 512 && interpreter('arm64').length % 4 === 0)
})
