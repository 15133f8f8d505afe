// What the mode writes for each manifest of ../testdata/, as text to read: CASE.ipvs, and CASE.ipvs6
// where the case has IPv6. To accept a change, look at the difference after
//   UPDATE_GOLDENS=1 node --test src/proxy/ipvs/goldens.test.ts
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { goldenText } from './golden.ts'
import { ipvsCase } from './testing/apply.ts'

const folder = join(import.meta.dirname, '../testdata')
const cases = readdirSync(folder).filter(file => file.endsWith('.in.yaml')).map(file => file.slice(0, -'.in.yaml'.length))

test('there are cases', () => assert.ok(cases.length > 10))

for (const name of cases) {
  for (const family of [4, 6] as const) {
    test(`${name}, IPv${family}`, () => {
      const golden = join(folder, `${name}.ipvs${family === 4 ? '' : '6'}`)
      const { ports, options } = ipvsCase(name, family)
      const text = family === 6 && ports.length === 0 ? undefined : goldenText(ports, options)
      if (process.env.UPDATE_GOLDENS) text === undefined ? rmSync(golden, { force: true }) : writeFileSync(golden, text)
      assert.equal(text, existsSync(golden) ? readFileSync(golden, 'utf8') : undefined)
    })
  }
}
