import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unpack } from '../../answer.ts'
import { records, type Serve } from '../../plugin.ts'
import { ourselves, Query } from '../../query.ts'
import { ask, chainOf, testEnv } from '../../testing.ts'
import { plugin } from './plugin.ts'

/** An upstream that sends everything back to us, until mended. */
function looped() {
  let isMended = false, depth = 0, forwarded = 0
  const chain: { serve?: Serve } = {}
  const env = testEnv({ lookup: query => chain.serve!(query) })
  const made = chainOf(plugin, 'loop', {
    env,
    next: query => {
      forwarded++
      assert.ok(++depth < 10, 'the loop is not cut')
      try { return isMended ? records({ rcode: 3 }) : chain.serve!(Query.make(query.asked, query.type, { origin: { ...ourselves, address: '10.0.0.9' } })) } finally { depth-- }
    },
  })
  chain.serve = made.serve
  return { env, ...made, mend: () => { isMended = true }, forwarded: () => forwarded }
}
const settle = () => new Promise(resolve => setImmediate(resolve))

test('loop: found, explained, refused; and gone when mended', async () => {
  const { env, instance, serve, mend, forwarded } = looped()
  await instance.start!()
  env.advance(1)
  await settle()
  assert.match(env.logged.join('\n'), /error: Loop \(10\.0\.0\.9:0 -> dns:\/\/\.:53\) detected for zone '\.'.*Let 'forward' name a resolver/)
  const before = forwarded()
  const query = ask('a.org')
  const answer = unpack(await serve(query), query)
  assert.deepEqual([answer.rcode, forwarded() - before], [2, 0])
  assert.match(answer.error!, /^plugin\/loop: Loop/)
  mend()
  env.advance(30_000)
  await settle()
  assert.equal(unpack(await serve(query), query).rcode, 3)
  assert.equal(env.logged.filter(line => line.startsWith('error')).length, 1)
  await instance.stop!()
})
