import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError } from '#lib/errors.ts'
import { startTime, terminate } from './process.ts'
import { run } from './run.ts'

test('output, input and environment', async () => {
  assert.deepEqual(await run(['sh', '-c', 'cat; echo $A; echo err >&2'], { input: 'in\n', env: { A: 'x' } }), { stdout: 'in\nx\n', stderr: 'err\n' })
  await run(['true'], { input: 'x'.repeat(1 << 20) })
})

const failing: Record<string, { argv: string[]; options?: Parameters<typeof run>[1]; exitCode: number; message: RegExp }> = {
  'an exit status': { argv: ['sh', '-c', 'echo why >&2; exit 3'], exitCode: 3, message: /exit status 3: why/ },
  'a signal': { argv: ['sh', '-c', 'kill -9 $$'], exitCode: 137, message: /exit status 137/ },
  'a program that is not there': { argv: ['no-such-program'], exitCode: 127, message: /no-such-program: command not found/ },
  'a timeout': { argv: ['sleep', '20'], options: { timeoutMs: 50 }, exitCode: 137, message: /no answer within 50 ms/ },
  'too much output': { argv: ['yes'], options: { maxOutput: 10000 }, exitCode: 137, message: /more than 10000 bytes/ },
}
for (const [name, { argv, options, exitCode, message }] of Object.entries(failing)) test(`fails with ${name}`, async () => {
  await assert.rejects(run(argv, options), error => error instanceof CommandError && error.exitCode === exitCode && message.test(error.message))
})

test('terminate ends the process that is meant, and only that', async () => {
  const { spawn } = await import('node:child_process')
  const child = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 0.1; done'], { stdio: 'ignore' })
  const name = { pid: child.pid!, startTime: startTime(child.pid!)! }
  await terminate({ ...name, startTime: name.startTime + 1 }, 10)
  assert.equal(startTime(child.pid!), name.startTime)
  await terminate(name, 50)
  assert.equal(startTime(child.pid!), undefined)
})
