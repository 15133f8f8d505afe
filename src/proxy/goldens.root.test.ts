// Each golden is given to the real iptables-restore of both implementations, in a network namespace
// of its own; and the fake iptables must then print what the real one prints.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { run } from '#host/run.ts'
import { CommandError } from '#lib/errors.ts'

const folder = join(import.meta.dirname, 'testdata')
const goldens = readdirSync(folder).filter(file => /\.ip6?tables$/.test(file))
const available = new Set<string>()

before(async () => {
  for (const command of ['iptables-nft', 'iptables-legacy', 'ip6tables-nft', 'ip6tables-legacy']) {
    try { await run(['unshare', '-n', command, '-t', 'nat', '-S']); available.add(command) } catch (error) { if (!(error instanceof CommandError)) throw error }
  }
})

/** What iptables-save prints, without comments, counters and the tables that hold nothing of ours. */
const essence = (text: string, table: string) =>
  new RegExp(`^\\*${table}\\n[^]*?^COMMIT$`, 'm').exec(text)?.[0].replace(/\[\d+:\d+\]/g, '[0:0]')

for (const golden of goldens) {
  const family = golden.endsWith('.ip6tables') ? 6 : 4
  for (const flavour of ['nft', 'legacy']) {
    const command = `ip${family === 6 ? '6' : ''}tables-${flavour}`
    test(`${golden} is what ${command} takes and prints`, async t => {
      if (!available.has(command)) return t.skip(`${command} does not work here`)
      const text = readFileSync(join(folder, golden), 'utf8')
      const { stdout } = await run(['unshare', '-n', 'sh', '-ec', `${command}-restore --noflush --test < "$1"; ${command}-restore --noflush < "$1"; ${command}-save`, 'sh', join(folder, golden)])
      const fake = new FakeIptables(family)
      await fake.restore(text)
      for (const table of ['filter', 'nat', 'mangle']) assert.equal(essence(await fake.save(table), table), essence(stdout, table))
    })
  }
}
