// The rules of each manifest in testdata/, as text to read: CASE.in.yaml -> CASE.iptables, and
// CASE.ip6tables where the case has IPv6. To accept a change, look at the difference after
//   UPDATE_GOLDENS=1 node --test src/proxy/goldens.test.ts
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { fullText } from './iptables/ruleset.ts'
import { manifestState } from './packets.ts'

const folder = join(import.meta.dirname, 'testdata')
const cases = readdirSync(folder).filter(file => file.endsWith('.in.yaml')).map(file => file.slice(0, -'.in.yaml'.length))

test('there are cases', () => assert.ok(cases.length > 10))

for (const name of cases) {
  for (const family of [4, 6] as const) {
    test(`${name}, IPv${family}`, () => {
      const file = join(folder, `${name}.in.yaml`), golden = join(folder, `${name}.${family === 4 ? 'iptables' : 'ip6tables'}`)
      const { ports, options } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), family)
      const text = family === 6 && ports.length === 0 ? undefined : fullText(rules(ports, iptablesOptions(options, true)), { jumps: jumps(options) })
      if (process.env.UPDATE_GOLDENS) text === undefined ? rmSync(golden, { force: true }) : writeFileSync(golden, text)
      assert.equal(text, existsSync(golden) ? readFileSync(golden, 'utf8') : undefined)
    })
  }
}
