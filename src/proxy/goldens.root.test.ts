// Each golden is given to the real iptables-restore of both implementations and to the real nft, in a
// network namespace of its own; and the fakes must then print what the real ones print.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { FakeNft } from '#host/nft.fake.ts'
import { run } from '#host/run.ts'
import { CommandError } from '#lib/errors.ts'
import { parseTable } from './nftables/parse.ts'

const folder = join(import.meta.dirname, 'testdata')
const goldens = readdirSync(folder).filter(file => /\.ip6?tables$/.test(file))
const available = new Set<string>()

before(async () => {
  try { await run(['unshare', '-n', 'nft', 'list', 'ruleset']); available.add('nft') } catch (error) { if (!(error instanceof CommandError)) throw error }
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

for (const golden of readdirSync(folder).filter(file => file.endsWith('.nft'))) {
  test(`${golden} is what nft takes and prints`, async t => {
    if (!available.has('nft')) return t.skip('nft does not work here')
    const text = readFileSync(join(folder, golden), 'utf8'), fake = new FakeNft()
    await fake.apply(text)
    for (const family of ['ip', 'ip6']) {
      if (!text.includes(`table ${family} `)) continue
      const { stdout } = await run(['unshare', '-n', 'sh', '-ec', 'nft -c -f "$1"; nft -f "$1"; nft -s list table "$2" kube-proxy', 'sh', join(folder, golden), family])
      const [real, ours] = [stdout, (await fake.list(`${family} kube-proxy`))!].map(listing => {
        const { sets, chains } = parseTable(listing)
        return { sets: new Map([...sets].map(([name, elements]) => [name, new Map([...elements].sort())])), chains }
      })
      assert.deepEqual(real, ours)
    }
  })
}
