import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FreePorts, onFreePort, parsePortRange } from './free-ports.ts'

const inUse = Object.assign(new Error('in use'), { code: 'EADDRINUSE' })

test('each in its turn, and round', () => {
  const ports = new FreePorts([10, 13], 0.5)
  assert.deepEqual(Array.from({ length: 6 }, () => ports.next()), [13, 10, 11, 12, 13, 10])
})

test('ports in use are passed over; any other error is one', async () => {
  const opened = await onFreePort(new FreePorts([10, 20], 0), async port => { if (port < 15) throw inUse; return port })
  assert.equal(opened, 15)
  await assert.rejects(onFreePort(new FreePorts([10, 20], 0), async () => { throw inUse }), { code: 'EADDRINUSE' })
  await assert.rejects(onFreePort(new FreePorts([10, 20], 0), async () => { throw new Error('no') }), { message: 'no' })
})

test('the range as the kernel prints it', () => {
  assert.deepEqual(parsePortRange('1024\t65535\n'), [1024, 65535])
  for (const text of [undefined, '', 'x y', '9 1']) assert.deepEqual(parsePortRange(text), [32_768, 60_999])
})
