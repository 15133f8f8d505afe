// Each golden of this mode is given to the real iptables-restore of both implementations, in a network
// namespace of its own; what the cleanup then leaves must be what was there before.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { CommandError } from '#lib/errors.ts'
import { proxyConfig } from '../config.ts'
import { Namespace } from '../testing/apply.ts'
import { cleanup } from './apply.ts'

const folder = join(import.meta.dirname, '../testdata')
const goldens = readdirSync(folder).filter(file => /\.userspace6?$/.test(file))
const skip = process.getuid?.() !== 0 && 'needs root'

for (const flavour of ['nft', 'legacy']) {
  let namespace: Namespace
  before(async () => { if (!skip) namespace = await Namespace.make() })
  after(() => namespace?.close())
  for (const golden of goldens) {
    const command = `ip${golden.endsWith('6') ? '6' : ''}tables-${flavour}`
    test(`${golden} is what ${command} takes`, { skip }, async t => {
      try { await run([command, '-t', 'nat', '-S'], { netns: namespace.path }) } catch (error) {
        if (error instanceof CommandError) return t.skip(`${command} does not work here`)
        throw error
      }
      const save = async () => (await namespace.run([`${command}-save`])).stdout.replace(/^#.*\n|\[\d+:\d+\]/gm, '').split('\n').filter(line => /KUBE|^-A/.test(line))
      await namespace.run(['sh', '-ec', `${command}-restore --noflush --test < "$1"; ${command}-restore --noflush < "$1"`, 'sh', join(folder, golden)])
      const rules = await save()
      assert.ok(rules.some(rule => rule.includes('KUBE-PORTALS-CONTAINER')))
      await cleanup({ log: silent, inForce: undefined, config: proxyConfig(new Map(), new Map()), netns: namespace.path })
      assert.deepEqual(await save(), [])
    })
  }
}
