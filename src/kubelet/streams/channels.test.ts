import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseProtocol, parseMessage, type Message, type Protocol } from './channels.ts'

const bytes = (channel: number, text: string | number[]) => Buffer.concat([Buffer.from([channel]), Buffer.from(text as string)])
for (const [protocol, message, expected] of [
  ['v5.channel.k8s.io', bytes(0, 'hi'), { kind: 'stdin', data: Buffer.from('hi') }],
  ['v5.channel.k8s.io', bytes(0, ''), { kind: 'ignored' }],
  ['v5.channel.k8s.io', bytes(255, [0]), { kind: 'endOfStdin' }],
  ['v5.channel.k8s.io', bytes(255, [1]), { kind: 'ignored' }],
  ['v4.channel.k8s.io', bytes(255, [0]), { kind: 'ignored' }],
  ['v4.channel.k8s.io', bytes(4, '{"Width":80,"Height":24}'), { kind: 'resize', columns: 80, rows: 24 }],
  ['v4.channel.k8s.io', bytes(4, '{"Width":-1,"Height":24}'), { kind: 'ignored' }],
  ['v4.channel.k8s.io', bytes(4, '{'), { kind: 'ignored' }],
  ['v4.channel.k8s.io', bytes(9, 'x'), { kind: 'ignored' }],
  ['v4.channel.k8s.io', Buffer.alloc(0), { kind: 'ignored' }],
] as [Protocol, Buffer, Message][]) test(`${protocol} ${JSON.stringify(message.toString('latin1'))}`, () => assert.deepEqual(parseMessage(protocol, message), expected))

test('the newest protocol that both know', () => {
  assert.equal(chooseProtocol(new Set(['v4.channel.k8s.io', 'v5.channel.k8s.io', 'v9'])), 'v5.channel.k8s.io')
  assert.equal(chooseProtocol(new Set(['channel.k8s.io'])), undefined)
})
