// Syncs against the real iptables of both implementations, in a network namespace: any way through
// random states must end in the text that a clean sync gives, and print what the fake prints.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { iptables, type Iptables } from '#host/iptables.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { RandomObjects } from '../random.ts'
import { ProxyState } from '../state.ts'
import { Namespace } from '../testing/apply.ts'
import { cleanupTables, IptablesApplier } from './apply.ts'
import type { RuleOptions } from './options.ts'
import { jumps, ruleGenerator } from './rules.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const options: RuleOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, randomFully: true,
  localTraffic: { ifLocal: '-s 10.244.0.0/16', ifNotLocal: '! -s 10.244.0.0/16' }, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: '192.168.109.101' }
const skip = process.getuid?.() !== 0 && 'needs root'

const dump = async (iptables: Iptables) => {
  const texts = await Promise.all(['filter', 'nat', 'mangle'].map(table => iptables.save(table)))
  return texts.join('').replace(/\[\d+:\d+\]/g, '[0:0]').replace(/^#.*\n/gm, '')
}

for (const flavour of ['nft', 'legacy']) {
  test(`every transition ends where a clean sync ends, by iptables-${flavour} (SEED=${seed})`, { skip }, async t => {
    const namespace = await Namespace.make()
    t.after(() => namespace.close())
    const command = `iptables-${flavour}`
    try { await run([command, '-t', 'nat', '-S'], { netns: namespace.path }) } catch { return t.skip(`${command} does not work here`) }
    const real = iptables(4, command, { netns: namespace.path }), before = await dump(real)
    const one = new IptablesApplier(real, { jumps: jumps(options), log: silent }), generate = ruleGenerator(options)
    const state = new ProxyState({ nodeName: 'n1', family: 4 }), random = new RandomObjects(seed)
    for (let i = 0; i < 40; i++) {
      for (let n = i % 4 * i % 7 + 1; n > 0; n--) state.applyChange(random.change())
      const ruleset = generate(state.ports()), fake = new FakeIptables()
      const applied = await one.apply(ruleset)
      assert.equal(applied.partialFailed, false, `partial sync ${i}`)
      await new IptablesApplier(fake, { jumps: jumps(options), log: silent }).apply(ruleset)
      assert.equal(await dump(real), await dump(fake), `after sync ${i} (${applied.sync}):\n${applied.text}`)
    }
    await run([command, '-t', 'nat', '-F'], { netns: namespace.path })
    await run([command, '-t', 'nat', '-X'], { netns: namespace.path })
    assert.equal(await one.checkFlushed(), true)
    assert.equal((await one.apply(generate(state.ports()))).sync, 'full')
    await cleanupTables(real, jumps(options))
    // The nft tables stay once made, empty.
    assert.deepEqual((await dump(real)).match(/KUBE|^-A/gm), before.match(/KUBE|^-A/gm))
  })
}
