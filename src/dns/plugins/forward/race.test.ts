// Who is asked when, by a hand clock and links that do as told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, name, show, testEnv, type TestEnv } from '../../testing.ts'
import { encode, decode } from '../../wire/message.ts'
import { address } from '../../wire/rdata.ts'
import type { Answer } from '../../plugin.ts'
import { optionsOf } from '../../testing.ts'
import { Forwarder } from './forwarder.ts'
import { plugin } from './plugin.ts'
import { probe } from './reply.ts'
import { Upstream, type Link } from './upstream.ts'

type Does = 'answers' | 'fails' | 'waits'

/** A link that does `does`, and notes when it was asked for what. */
function link(env: TestEnv, began: number, notes: string[], label: string, does: () => Does): Link {
  return {
    ask(message) {
      const asked = decode(message)
      notes.push(`${env.now() - began} ${label}${asked.questions[0]!.type === 2 ? ' probe' : ''}`)
      const what = does()
      const reply = what === 'answers' ? Promise.resolve(encode({ ...asked, flags: 0x8180, answer: asked.questions[0]!.type === 2 ? [] : [address(asked.questions[0]!.name, 60, '192.0.2.1')] }))
        : what === 'fails' ? Promise.reject(new Error('refused')) : new Promise<Buffer>(() => {})
      return { reply, cancel() {} }
    },
    close() {},
  }
}

const settle = () => new Promise(resolve => setImmediate(resolve))

async function scene(does: Record<string, Does | (() => Does)>, lines = '') {
  const env = testEnv({ random: () => 0 }), began = env.now(), notes: string[] = []
  const [route] = optionsOf(plugin, `forward . 127.0.0.1 {\n policy sequential\n${lines}\n}`)
  const message = probe({ domain: name('.'), recursion: true })
  const upstreams = Object.entries(does).map(([to, what]) => new Upstream({ to, link: link(env, began, notes, to, () => typeof what === 'function' ? what() : what), probe: message, interval: 500, maxFails: route!.maxFails, tcp: false }, env))
  const forwarder = new Forwarder(route!, upstreams, env)
  /** Asks, and lets up to `ms` pass until there is an answer. */
  const asks = async (text: string, ms = 5000) => {
    const query = ask(text), from = env.now()
    let answer: Answer | undefined
    void Promise.resolve(forwarder.ask(query)).then(got => { answer = got })
    for (await settle(); !answer && env.now() - from < ms; await settle()) env.advance(50)
    return `${show(answer!, query).split('\n')[0]} after ${env.now() - from}`
  }
  return { env, notes, forwarder, asks, pass: async (ms: number) => { for (let at = 0; at < ms; at += 50) { env.advance(50); await settle() } } }
}

test('the first that answers is enough', async () => {
  const { asks, notes } = await scene({ a: 'answers', b: 'answers' })
  assert.equal(await asks('x.org'), 'NOERROR after 0')
  assert.deepEqual(notes, ['0 a'])
})
test('one that fails is followed at once', async () => {
  const { asks, notes } = await scene({ a: 'fails', b: 'answers' }, 'max_fails 0')
  assert.equal(await asks('x.org'), 'NOERROR after 0')
  assert.deepEqual(notes, ['0 a', '0 b'])
})
test('one that waits is joined by the next after a moment, and asked last from then on', async () => {
  const { asks, notes } = await scene({ a: 'waits', b: 'answers' }, 'max_fails 0')
  assert.equal(await asks('x.org'), 'NOERROR after 600')
  assert.equal(await asks('y.org'), 'NOERROR after 0')
  assert.deepEqual(notes, ['0 a', '600 b', '600 b'])
})
test('all wait: SERVFAIL within 3.5 s', async () => {
  const { asks } = await scene({ a: 'waits', b: 'waits' })
  assert.equal(await asks('x.org'), 'SERVFAIL after 3500')
})
test('all fail: three rounds, then SERVFAIL', async () => {
  const { asks, notes } = await scene({ a: 'fails' }, 'max_fails 0')
  assert.equal(await asks('x.org'), 'SERVFAIL after 400')
  assert.deepEqual(notes, ['0 a', '200 a', '400 a'])
})
test('max_connect_attempts', async () => {
  const { asks, notes } = await scene({ a: 'fails', b: 'fails', c: 'answers' }, 'max_fails 0\n max_connect_attempts 2')
  assert.equal(await asks('x.org'), 'SERVFAIL after 0')
  assert.deepEqual(notes, ['0 a', '0 b'])
})
test('health: probed until it answers, left out meanwhile, back then', async () => {
  let state: Does = 'fails'
  const { asks, notes, pass, env } = await scene({ a: () => state, b: 'answers' })
  await asks('x.org')
  await pass(1200)
  assert.deepEqual(notes, ['0 a', '0 a probe', '0 b', '500 a probe', '1000 a probe'])
  notes.length = 0
  await asks('y.org')
  assert.deepEqual(notes, ['1200 b'])
  state = 'answers'
  await pass(500)
  await asks('z.org')
  assert.deepEqual(notes, ['1200 b', '1500 a probe', '1700 a'])
  assert.deepEqual(env.logged.map(line => line.split(' ')[0]), ['warn:', 'info:'])
})
test('all down: tried nevertheless, unless failfast', async () => {
  const broken = await scene({ a: 'fails' })
  await broken.asks('x.org')
  await broken.pass(2000)
  assert.equal(await broken.asks('y.org'), 'SERVFAIL after 400')
  assert.match(JSON.stringify(broken.env.metrics.snapshot()), /healthcheck_broken_total/)
  const fast = await scene({ a: 'fails' }, 'failfast_all_unhealthy_upstreams')
  await fast.asks('x.org')
  await fast.pass(2000)
  assert.equal(await fast.asks('y.org'), 'SERVFAIL after 0')
})
