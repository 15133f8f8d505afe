import assert from 'node:assert/strict'
import { test } from 'node:test'
import { records, type Result } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { testEnv } from '../../testing.ts'
import { showName } from '../../wire/name.ts'
import { address } from '../../wire/rdata.ts'
import { cases, corefile, localIps, objects } from './cases.ts'
import { brief, clusterOf, question } from './testing.ts'

/** The world outside: www.example.com has one IPv4 address. */
const upstream = (query: Query): Result => {
  assert.equal(showName(query.name), 'www.example.com.')
  return records({ answer: query.typeName === 'A' ? [address(query.asked, 60, '198.51.100.1')] : [] })
}

test('a table of questions', async () => {
  const { instance } = clusterOf(corefile, objects, { env: testEnv({ lookup: upstream }), localIps })
  assert.ok(cases.length >= 120, String(cases.length))
  const wrong: string[] = []
  for (const round of [1, 2]) for (const [text, expected] of cases) { // the second round is of kept answers
    const query = question(text)
    const answer = await instance.resolver.answer(query)
    const got = answer ? brief(answer, query) : 'passed on'
    if (got !== expected) wrong.push(`${round}: ${text}\n  expected ${expected}\n  got      ${got}`)
  }
  assert.deepEqual(wrong, [])
})
