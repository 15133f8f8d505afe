import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { DatagramBatch, descriptorOf } from './datagrams.ts'

for (const [type, host] of [['udp4', '127.0.0.1'], ['udp6', '::1']] as const) {
  test(`${type}: a batch is what was sent, and its answers arrive`, async () => {
    const server = createSocket(type), client = createSocket(type)
    server.bind(0, host)
    client.bind(0, host)
    await Promise.all([once(server, 'listening'), once(client, 'listening')])
    const batch = new DatagramBatch(descriptorOf(server)!, { count: 8, slot: 600 })
    assert.equal(batch.receive(), 0)
    const answers: string[] = []
    client.on('message', message => answers.push(String(message)))
    for (const text of ['one', '', 'x'.repeat(500), 'y'.repeat(601)]) await new Promise(resolve => client.send(text, server.address().port, host, resolve))
    // Synchronously from here, so that Node's own reader cannot come before.
    const count = batch.receive()
    const received = Array.from({ length: count }, (_, i) => batch.message(i)?.toString())
    assert.ok(count > 0)
    for (let i = 0; i < count; i++) {
      assert.equal(batch.port(i), client.address().port)
      assert.deepEqual(batch.address(i), type === 'udp4' ? 0x7f000001 : Buffer.from('00000000000000000000000000000001', 'hex'))
      assert.equal(batch.answer(i, Buffer.from(`<${received[i]}>`)), true)
    }
    assert.equal(batch.answer(0, Buffer.alloc(601)), false)
    batch.send()
    for (let n = 0; n < 100 && answers.length < count; n++) await new Promise(resolve => setTimeout(resolve, 5))
    assert.deepEqual(answers, received.map(text => `<${text}>`))
    server.close()
    client.close()
  })
}
