// The rules of each manifest in testdata/, as text to read: CASE.in.yaml -> CASE.iptables, and
// CASE.ip6tables where the case has IPv6; CASE.nft has both families. To accept a change, look at the difference after
//   UPDATE_GOLDENS=1 node --test src/proxy/goldens.test.ts
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { fullText } from './iptables/ruleset.ts'
import { layoutChains } from './nftables/layout.ts'
import { Ruleset } from './nftables/ruleset.ts'
import { tableText } from './nftables/text.ts'
import { manifestState } from './packets.ts'

const folder = join(import.meta.dirname, 'testdata')
const cases = readdirSync(folder).filter(file => file.endsWith('.in.yaml')).map(file => file.slice(0, -'.in.yaml'.length))

test('there are cases', () => assert.ok(cases.length > 10))

for (const name of cases) {
  for (const family of [4, 6] as const) {
    test(`${name}, IPv${family}`, () => {
      const golden = join(folder, `${name}.${family === 4 ? 'iptables' : 'ip6tables'}`)
      const { ports, options } = manifestState(documentsOf(name), family)
      const text = family === 6 && ports.length === 0 ? undefined : fullText(rules(ports, iptablesOptions(options, true)), { jumps: jumps(options) })
      compare(text, golden)
    })
  }

  test(`${name}, nftables`, () => {
    const texts = ([4, 6] as const).map(family => {
      const { ports, options } = manifestState(documentsOf(name), family)
      if (family === 6 && ports.length === 0) return ''
      const ruleset = new Ruleset(options)
      ruleset.update(ports)
      return tableText({ family, layout: layoutChains(options), contents: ruleset.contents(), nodePortIPs: options.nodePortAddresses === 'all' ? [] : options.nodePortAddresses })
    })
    compare(texts.join(''), join(folder, `${name}.nft`))
  })
}

function documentsOf(name: string): unknown[] {
  const file = join(folder, `${name}.in.yaml`)
  return parseYamlDocuments(readFileSync(file, 'utf8'), file)
}

function compare(text: string | undefined, golden: string): void {
  if (process.env.UPDATE_GOLDENS) text === undefined ? rmSync(golden, { force: true }) : writeFileSync(golden, text)
  assert.equal(text, existsSync(golden) ? readFileSync(golden, 'utf8') : undefined)
}
