import assert from 'node:assert/strict'
import { test } from 'node:test'
import { render } from '../../answer.ts'
import { records } from '../../plugin.ts'
import { ask, chainOf, optionsOf } from '../../testing.ts'
import { flags } from '../../wire/types.ts'
import { plugin } from './plugin.ts'

for (const [lines, expected] of [['set ra', flags.QR | flags.AA | flags.RD | flags.RA], ['clear rd', flags.QR | flags.AA], ['response set ra\n clear aa', flags.QR | flags.RD | flags.RA], ['set ra\n clear ra', flags.QR | flags.AA | flags.RD], ['response clear aa ra rd', flags.QR]] as const) {
  test(`header: ${lines.replace('\n', ';')}`, async () => {
    const query = ask('a.org')
    const { serve } = chainOf(plugin, `header {\n ${lines}\n}`, { next: () => records({ flags: flags.AA }) })
    assert.equal(render(query, await serve(query)).readUInt16BE(2), expected)
  })
}
test('header: of queries', async () => {
  let seen = 0
  const { serve } = chainOf(plugin, 'header {\n query clear rd\n}', { next: query => { seen = query.flags; return records({}) } })
  const query = ask('a.org')
  await serve(query)
  assert.deepEqual([query.flags & flags.RD, seen & flags.RD], [flags.RD, 0])
})
test('header: mistakes', () => {
  for (const lines of ['header', 'header {\n set xx\n}', 'header {\n put ra\n}', 'header {\n set\n}', 'header x {\n set ra\n}']) assert.throws(() => optionsOf(plugin, lines), /Corefile:/, lines)
})
