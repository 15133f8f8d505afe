// The rules of each manifest of ../testdata/ in this mode, as text to read: CASE.userspace, and
// CASE.userspace6 where the case has IPv6. The sockets' numbers are 40001, 40002, ... as they come.
//   UPDATE_GOLDENS=1 node --test src/proxy/userspace/goldens.test.ts
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { fullText } from '../iptables/ruleset.ts'
import { addressOf, manifestState } from '../packets.ts'
import { portals } from './portals.ts'
import { jumps, rules } from './rules.ts'

const folder = join(import.meta.dirname, '../testdata')
const cases = readdirSync(folder).filter(file => file.endsWith('.in.yaml')).map(file => file.slice(0, -'.in.yaml'.length))

for (const name of cases) {
  for (const family of [4, 6] as const) {
    test(`${name}, IPv${family}`, () => {
      const file = join(folder, `${name}.in.yaml`), golden = join(folder, `${name}.userspace${family === 4 ? '' : '6'}`)
      const { ports, options } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), family)
      const keys = ports.flatMap(portals).map(({ key }) => key)
      const ruleset = rules(ports, key => keys.includes(key) ? 40_001 + keys.indexOf(key) : undefined, { ...options, hostIP: addressOf('node', family), boundToHostIP: false })
      const text = family === 6 && ports.length === 0 ? undefined : fullText(ruleset, { jumps })
      if (process.env.UPDATE_GOLDENS) text === undefined ? rmSync(golden, { force: true }) : writeFileSync(golden, text)
      assert.equal(text, existsSync(golden) ? readFileSync(golden, 'utf8') : undefined)
    })
  }
}

test('a socket bound to one address is led to by DNAT alone', () => {
  const file = join(folder, 'nodeport.in.yaml')
  const { ports, options } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), 4)
  const text = fullText(rules(ports, () => 40_001, { ...options, hostIP: '192.168.109.101', boundToHostIP: true }))
  assert.doesNotMatch(text, /REDIRECT/)
  assert.match(text, /-A KUBE-PORTALS-CONTAINER .*-j DNAT --to-destination 192\.168\.109\.101:40001/)
  assert.match(text, /"dev\/web proxy port" -d 192\.168\.109\.101 -m tcp -p tcp --dport 40001 -j REJECT/)
})
