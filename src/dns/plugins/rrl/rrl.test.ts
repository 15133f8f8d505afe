import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unpack } from '../../answer.ts'
import { records, silence } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, testEnv } from '../../testing.ts'
import { address } from '../../wire/rdata.ts'
import { flags } from '../../wire/types.ts'
import { Accounts, plugin } from './plugin.ts'

const good = records({ answer: [address(name('a.org'), 5, '10.0.0.1')] })

function flood(lines: string, asked: (i: number) => ReturnType<typeof ask>, answer = good) {
  const env = testEnv()
  const { serve } = chainOf(plugin, `rrl {\n ${lines}\n}`, { env, next: () => answer })
  return { env, async send(count: number) {
    const out = { answered: 0, truncated: 0, dropped: 0 }
    for (let i = 0; i < count; i++) {
      const query = asked(i), got = await serve(query)
      if (got === silence) out.dropped++
      else if (unpack(got, query).flags & flags.TC) out.truncated++
      else out.answered++
    }
    return out
  } }
}
const from = (address: string, text = 'a.org', protocol: 'udp' | 'tcp' = 'udp') => () => ask(text, 'A', { origin: { address, protocol } })

test('rrl: so many a second, then dropped and truncated in turn, and again after the flood', async () => {
  const { env, send } = flood('responses-per-second 10', from('192.0.2.1'))
  assert.deepEqual(await send(10), { answered: 10, truncated: 0, dropped: 0 })
  assert.deepEqual(await send(20), { answered: 0, truncated: 10, dropped: 10 })
  env.advance(4000)
  assert.deepEqual((await send(10)).answered, 10)
})
test('rrl: a network is one; others, other names, and TCP are free', async () => {
  const { send } = flood('responses-per-second 1', i => [from('192.0.2.1'), from('192.0.2.200'), from('192.0.3.1'), from('192.0.2.1', 'b.org'), from('192.0.2.1', 'a.org', 'tcp')][i % 5]!())
  assert.deepEqual((await send(5)).answered, 4)
})
test('rrl: names that do not exist count together', async () => {
  const nxdomain = records({ rcode: 3 })
  assert.equal((await flood('responses-per-second 100\n nxdomains-per-second 5', i => ask(`x${i}.org`, 'A'), nxdomain).send(20)).answered, 5)
})
test('rrl: requests, and report-only', async () => {
  assert.deepEqual(await flood('requests-per-second 3', from('::1')).send(5), { answered: 3, truncated: 0, dropped: 2 })
  const { env, send } = flood('requests-per-second 3\n report-only', from('::1'))
  assert.equal((await send(5)).answered, 5)
  assert.equal(env.metrics.counter('coredns_rrl_requests_exceeded_total', '', ['client_ip']).with('').value, 2)
})
test('rrl: the table stays bounded', () => {
  const accounts = new Accounts({ window: 1000, tableSize: 3 })
  for (let i = 0; i < 1000; i++) assert.equal(accounts.charge(String(i), 1, 0), undefined)
  assert.equal(accounts.charge('999', 1, 0), 1)
})
test('rrl: mistakes', () => { for (const lines of ['rrl {\n nosuch 1\n}', 'rrl {\n responses-per-second x\n}', 'rrl {\n ipv4-prefix-length 33\n}', 'rrl {\n window 1\n window 2\n}', 'rrl {\n report-only 1\n}']) assert.throws(() => optionsOf(plugin, lines), /Corefile:/, lines) })
