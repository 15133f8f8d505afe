// cache by a hand clock: what is kept, for how long, for whom, and what never.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { render, pack } from '../../answer.ts'
import { compose } from '../../chain.ts'
import { CorefileError } from '../../corefile/errors.ts'
import { failure, records, type Answer, type Records, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { ask, name, optionsOf, show, testEnv, type TestEnv } from '../../testing.ts'
import { decode } from '../../wire/message.ts'
import { address, cname, parseRecord, soa } from '../../wire/rdata.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import { plugin } from './plugin.ts'

const authority = (ttl: number, minimum: number) => soa(name('example.org'), ttl, { mname: name('ns.'), rname: name('h.'), serial: 1, refresh: 2, retry: 3, expire: 4, minimum })
const upstreamAnswer = (ttl: number) => (query: Query): Records => records({ flags: flags.RA, answer: [address(query.asked, ttl, '192.0.2.1'), address(query.asked, ttl + 60, '192.0.2.2')] })

/** The chain cache -> `from`, which answers later, as forward does. */
function scene(lines: string, answer: (query: Query) => Answer, { from = 'forward', sync = false, env = testEnv(), more = {} }: { from?: string; sync?: boolean; env?: TestEnv; more?: { owns?: (query: Query) => boolean } } = {}) {
  const asked: string[] = []
  const source: Serve = query => {
    asked.push(`${query.typeName}${query.dnssec ? '+do' : ''}`)
    return sync ? answer(query) : Promise.resolve(answer(query))
  }
  const last = { name: from, serve: () => source, ...more }
  const cache = plugin.setup(optionsOf(plugin, lines), { ...env, peers: () => [last] })
  const serve = compose([cache, last], error => { throw error })
  const asks = async (text: string, type = 'A', options: Parameters<typeof ask>[2] = {}) => { const query = ask(text, type, options); return show(await serve(query), query) }
  return { env, asked, serve, asks }
}
const two = (owner: string, ttl: number) => `NOERROR\n;answer\n${owner}.\t${ttl}\tIN\tA\t192.0.2.1\n${owner}.\t${ttl}\tIN\tA\t192.0.2.2`

test('kept for its TTL, counted down, in each asker\'s own case', async () => {
  const { env, asked, asks } = scene('cache', upstreamAnswer(60))
  assert.equal(await asks('a.org'), two('a.org', 60))
  env.advance(10_000)
  assert.equal(await asks('A.oRg'), two('A.oRg', 50))
  env.advance(49_500)
  assert.equal(await asks('a.org'), two('a.org', 1))
  assert.equal(asked.length, 1)
  env.advance(500)
  assert.equal(await asks('a.org'), two('a.org', 60))
  assert.equal(asked.length, 2)
})
test('hits are synchronous and can be sent as they are', async () => {
  const { serve, asks } = scene('cache', query => pack(upstreamAnswer(60)(query), { name: query.asked, type: query.type }))
  await asks('a.org')
  const query = ask('A.ORG'), answer = serve(query)
  assert.ok(!(answer instanceof Promise))
  const sent = decode(render(query, answer))
  assert.deepEqual([sent.answer.map(({ name, ttl }) => [name, ttl]), sent.flags & flags.RA], [[[name('A.ORG'), 60], [name('A.ORG'), 60]], flags.RA])
})
test('limits of time', async () => {
  for (const [lines, ttl, shown] of [['cache 30', 60, 30], ['cache', 0, 5], ['cache', 7200, 3600], ['cache {\n success 100 20 10\n}', 60, 20], ['cache {\n success 100 20 10\n}', 3, 10]] as const) {
    assert.equal(await scene(lines, upstreamAnswer(ttl)).asks('a.org'), two('a.org', shown), `${lines} ${ttl}`)
  }
})
test('denials: the SOA says for how long (RFC 2308)', async () => {
  for (const [what, answer, seconds] of [
    ['the last field', records({ rcode: rcodes.NXDOMAIN, authority: [authority(300, 20)] }), 20],
    ['the TTL', records({ rcode: rcodes.NXDOMAIN, authority: [authority(15, 200)] }), 15],
    ['NODATA', records({ authority: [authority(300, 20)] }), 20],
    ['behind a CNAME', records({ rcode: rcodes.NXDOMAIN, answer: [cname(name('a.org'), 10, name('b.org'))], authority: [authority(300, 20)] }), 10],
    ['no SOA', records({ rcode: rcodes.NXDOMAIN }), 0],
    ['nothing at all', records({}), 0],
    ['REFUSED', records({ rcode: rcodes.REFUSED }), 0],
  ] as const) {
    const { env, asked, asks } = scene('cache', () => answer)
    await asks('a.org')
    env.advance(Math.max(0, seconds * 1000 - 1))
    await asks('a.org')
    assert.equal(asked.length, seconds ? 1 : 2, what)
    env.advance(1)
    await asks('a.org')
    assert.equal(asked.length, seconds ? 2 : 3, what)
  }
})
test('SERVFAIL of an upstream for 5 s; failures of our own, cut answers and huge ones not at all', async () => {
  const count = async (answer: Answer, wait = 0, lines = 'cache') => {
    const { env, asked, asks } = scene(lines, () => answer)
    await asks('a.org')
    env.advance(wait)
    await asks('a.org')
    return asked.length
  }
  const servfail = records({ rcode: rcodes.SERVFAIL })
  assert.deepEqual([await count(servfail, 4999), await count(servfail, 5000), await count(servfail, 0, 'cache {\n servfail 0\n}')], [1, 2, 2])
  assert.equal(await count(failure('plugin/forward: no')), 2)
  assert.equal(await count({ ...records({ answer: [address(name('a.org'), 60, '192.0.2.1')] }), flags: flags.TC }), 2)
  assert.equal(await count(records({ answer: Array.from({ length: 600 }, (_, i) => address(name('a.org'), 60, `192.0.${i >> 8}.${i & 255}`)) })), 2)
})
test('with and without DNSSEC records apart; AD only for who asks', async () => {
  const signed = parseRecord('a.org. 60 IN RRSIG A 13 2 60 20301231000000 20200101000000 1 a.org. AAAA')!
  const { asked, asks, serve } = scene('cache', query => ({ ...records({ flags: flags.AD, answer: [address(query.asked, 60, '192.0.2.1'), ...(query.dnssec ? [signed] : [])] }) }))
  for (let n = 0; n < 2; n++) {
    assert.equal((await asks('a.org')).includes('RRSIG'), false)
    assert.equal((await asks('a.org', 'A', { dnssec: true })).includes('RRSIG'), true)
  }
  assert.deepEqual(asked, ['A', 'A+do'])
  assert.equal((await serve(ask('a.org'))).flags & flags.AD, 0)
  assert.equal((await serve(ask('a.org', 'A', { dnssec: true }))).flags & flags.AD, flags.AD)
})
test('names of the cluster are never kept', async () => {
  const now = scene('cache', upstreamAnswer(60), { from: 'kubernetes', sync: true }), later = scene('cache', upstreamAnswer(60), { from: 'kubernetes' })
  const owned = scene('cache', upstreamAnswer(60), { more: { owns: query => query.name.endsWith('\x05local\0') } })
  for (const { asks, asked } of [now, later]) {
    await asks('a.ns.svc.cluster.local')
    assert.match(await asks('a.ns.svc.cluster.local'), /\t60\t[^]*\t120\t/) // as they came
    assert.equal(asked.length, 2)
  }
  for (const owner of ['x.cluster.local', 'x.cluster.local', 'x.org', 'x.org']) await owned.asks(owner)
  assert.equal(owned.asked.length, 3)
})
test('an answer that a plugin composed of another of our answers is not kept; the other is', async () => {
  const env = testEnv(), asked: string[] = []
  const forward = { name: 'forward', serve: (): Serve => query => { asked.push('forward'); return Promise.resolve(upstreamAnswer(60)(query)) } }
  const external = { name: 'kubernetes', serve: (next: Serve): Serve => query => {
    if (query.name !== name('ext.cluster.local')) return next(query)
    asked.push('kubernetes')
    return Promise.resolve(whole(query.asking({ name: name('target.org') }))).then(() => records({ answer: [cname(query.asked, 5, name('target.org'))] }))
  } }
  const whole: Serve = compose([plugin.setup(optionsOf(plugin, 'cache'), env), external, forward], error => { throw error })
  for (let n = 0; n < 2; n++) await whole(ask('ext.cluster.local'))
  assert.deepEqual(asked, ['kubernetes', 'forward', 'kubernetes'])
})
test('zones and disable', async () => {
  const counts = async (lines: string, answer: (query: Query) => Answer, owner: string) => { const { asked, asks } = scene(lines, answer); await asks(owner); await asks(owner); return asked.length }
  const nx = () => records({ rcode: rcodes.NXDOMAIN, authority: [authority(60, 60)] })
  assert.equal(await counts('cache example.org', upstreamAnswer(60), 'a.example.org'), 1)
  assert.equal(await counts('cache 60 example.org', upstreamAnswer(60), 'a.example.com'), 2)
  assert.equal(await counts('cache {\n disable success\n}', upstreamAnswer(60), 'a.org'), 2)
  assert.equal(await counts('cache {\n disable denial example.org\n}', nx, 'a.org'), 1)
  assert.equal(await counts('cache {\n disable denial example.org\n}', nx, 'a.example.org'), 2)
})
test('a client subnet is not shared', async () => {
  const { serve, asked } = scene('cache', upstreamAnswer(60))
  const plain = ask('a.org')
  const opt = Buffer.from([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2])
  const message = Buffer.concat([plain.message, opt])
  message[11] = 1
  for (let n = 0; n < 2; n++) await serve(plain.carrying(message))
  assert.equal(asked.length, 2)
})
test('prefetch: popular ones are fetched anew before they end', async () => {
  const { env, asked, asks } = scene('cache {\n prefetch 3 1m 20%\n}', upstreamAnswer(100))
  await asks('rare.org')
  for (let n = 0; n < 3; n++) await asks('a.org')
  assert.equal(asked.length, 2)
  env.advance(50_000)
  await asks('a.org')
  assert.equal(asked.length, 2)
  env.advance(31_000)
  assert.equal(await asks('a.org'), two('a.org', 19)) // and in the background
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(asked.length, 3)
  assert.equal(await asks('a.org'), two('a.org', 100))
  assert.equal(await asks('rare.org'), two('rare.org', 19))
  assert.equal(asked.length, 3)
})
test('serve_stale: at once, and fetched anew behind it', async () => {
  let works = true
  const { env, asked, asks } = scene('cache {\n serve_stale 1h\n}', query => works ? upstreamAnswer(60)(query) : failure('down'))
  await asks('a.org')
  works = false
  env.advance(600_000)
  assert.equal(await asks('a.org'), two('a.org', 0))
  assert.equal(await asks('a.org'), two('a.org', 0))
  works = true
  await asks('a.org')
  assert.equal(await asks('a.org'), two('a.org', 60))
  assert.equal(asked.length, 4)
  works = false
  env.advance(60_000 + 3_600_000)
  assert.equal(await asks('a.org'), 'SERVFAIL')
})
test('serve_stale verify: the source is asked first, for a while', async () => {
  let answer: (query: Query) => Answer | Promise<Answer> = upstreamAnswer(60)
  const { env, asks } = scene('cache {\n serve_stale 1h verify 200ms\n}', query => answer(query) as Answer)
  await asks('a.org')
  env.advance(100_000)
  assert.equal(await asks('a.org'), two('a.org', 60))
  env.advance(100_000)
  answer = () => records({ rcode: rcodes.SERVFAIL })
  assert.equal(await asks('a.org'), two('a.org', 0))
  answer = () => new Promise<Answer>(() => {})
  const waiting = asks('a.org')
  await new Promise(resolve => setImmediate(resolve))
  env.advance(200)
  assert.equal(await waiting, two('a.org', 0))
})
test('keepttl', async () => {
  const { env, asks } = scene('cache {\n keepttl\n}', upstreamAnswer(60))
  await asks('a.org')
  env.advance(30_000)
  assert.equal(await asks('a.org'), two('a.org', 60))
})
test('bounded: what nobody asks for is given up, what is asked for stays', async () => {
  const { asked, asks, env } = scene('cache {\n success 1000\n}', upstreamAnswer(3600))
  await asks('hot.org')
  for (let n = 0; n < 5000; n++) {
    await asks(`n${n}.org`)
    if (n % 100 === 0) await asks('hot.org')
  }
  assert.equal(asked.length, 5001)
  const sizes = env.metrics.snapshot().find(({ name }) => name === 'coredns_cache_entries')!.series
  assert.deepEqual(sizes.map(([labels, [value]]) => [labels[1], value]), [['success', 1000], ['denial', 0]])
})
test('random questions: an answer is always that of its own question', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const random = (below: number) => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return (state >>> 0) % below }
  const { env, asks } = scene('cache {\n success 50\n denial 50\n prefetch 2\n serve_stale\n}', query => {
    const [label] = query.name.slice(1).split('\x03')
    if (query.type !== types.A) return records({ authority: [authority(30, 30)] })
    return records({ answer: [parseRecord(`x. 30 IN A 10.0.0.${label!.slice(1)}`)!].map(record => ({ ...record, name: query.asked })) })
  })
  for (let n = 0; n < 2000; n++) {
    const number = random(100), owner = `${'nN'[random(2)]}${number}.org`
    const text = await asks(owner, random(4) ? 'A' : 'TXT', { dnssec: random(3) === 0 })
    assert.match(text, text.includes('SOA') ? /^NOERROR\n;authority/ : new RegExp(`^NOERROR\n;answer\n${owner}\\.\t\\d+\tIN\tA\t10\\.0\\.0\\.${number}$`), `seed ${seed}`)
    env.advance(random(2000))
  }
})

const wrong: Record<string, [string, RegExp]> = {
  'an option': ['cache {\n sucess 1\n}', /^Corefile:3 .*unknown property 'sucess'/],
  'no time': ['cache 0', /^Corefile:2 .*not a whole number from 1/],
  'a percentage': ['cache {\n prefetch 1 1m 95%\n}', /\[10%, 90%\]/],
  'a mode': ['cache {\n serve_stale 1h later\n}', /refresh mode: 'later'/],
  'servfail': ['cache {\n servfail 10m\n}', /over 5 minutes/],
  'disable': ['cache {\n disable all\n}', /must be success or denial/],
  'twice': ['cache\ncache', /^Corefile:3 .*only once/],
}
for (const [what, [lines, message]] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
