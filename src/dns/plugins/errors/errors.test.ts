import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure } from '../../plugin.ts'
import { ask, chainOf, optionsOf, testEnv } from '../../testing.ts'
import { plugin } from './plugin.ts'

test('errors: alike ones are counted and told once', async () => {
  const env = testEnv()
  const { instance } = chainOf(plugin, 'errors {\n consolidate 30s "timeout$" warning\n consolidate 10s "^plugin/x" error show_first\n}', { env })
  const happen = (error: string) => instance.observe!(ask('a.org'), failure(error), { bytes: 0, ms: 0 })
  happen('i/o timeout'); happen('read timeout'); happen('plugin/x: first'); happen('plugin/x: second'); happen('other')
  assert.deepEqual(env.printed, ['[ERROR] plugin/errors: 2 a.org. A: plugin/x: first', '[ERROR] plugin/errors: 2 a.org. A: other'])
  env.advance(30_000)
  assert.deepEqual(env.printed.slice(2), ["[ERROR] plugin/errors: 2 errors like '^plugin/x' occurred in last 10s", "[WARNING] plugin/errors: 2 errors like 'timeout$' occurred in last 30s"])
  happen('i/o timeout')
  await instance.stop!()
  assert.match(env.printed.at(-1)!, /1 errors like 'timeout\$'/)
})
test('errors: mistakes', () => {
  for (const lines of ['errors {\n consolidate 30s\n}', 'errors {\n consolidate x y\n}', 'errors {\n consolidate 30s "("\n}', 'errors {\n consolidate 30s x loud\n}', 'errors {\n nosuch\n}', 'errors file']) assert.throws(() => optionsOf(plugin, lines), /Corefile:/, lines)
})
