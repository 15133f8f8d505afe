import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { openLog } from './apply.ts'
import { lineFormat, rfc3339Nano, rotatedName } from './format.ts'

const format = (...chunks: string[]) => {
  const lines = lineFormat('stdout')
  return [...chunks.map(chunk => lines.push(Buffer.from(chunk), 'T')), lines.end('T')].map(String).join('')
}
const big = 'x'.repeat(16 << 10)
const cases: Record<string, [chunks: string[], text: string]> = {
  'a line': [['a\n'], 'T stdout F a\n'],
  'a line in pieces, several in one': [['a', 'b\nc\n', '\n'], 'T stdout F ab\nT stdout F c\nT stdout F \n'],
  'no newline at the end': [['a\nb'], 'T stdout F a\nT stdout P b\n'],
  'exactly the longest': [[`${big}\n`], `T stdout F ${big}\n`],
  'longer than the longest': [[`${big}yz\n`], `T stdout P ${big}\nT stdout F yz\n`],
  'longer, in pieces': [[big.slice(1), 'xy', 'z'], `T stdout P ${big}\nT stdout P yz\n`],
  'nothing': [[], ''],
}
for (const [name, [chunks, text]] of Object.entries(cases)) test(`log lines: ${name}`, () => assert.equal(format(...chunks), text))

test('cut anywhere, the lines hold the same bytes', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e6)
  let state = seed
  const random = (n: number) => (state = (state * 1103515245 + 12345) % 2147483648) % n
  const whole = Array.from({ length: 300 }, () => 'é'.repeat(random(400)).repeat(random(30) ? 1 : 60)).join('\n')
  const bytes = Buffer.from(whole), lines = lineFormat('stderr')
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length;) { const next = at + 1 + random(9000); out.push(lines.push(bytes.subarray(at, next), 'T')); at = next }
  out.push(lines.end('T'))
  const back = Buffer.concat(out).toString('latin1').replace(/^T stderr P (.*)\n/gm, '$1').replace(/^(.*?)T stderr F |^T stderr F /gm, '$1')
  assert.equal(Buffer.from(back, 'latin1').toString().replace(/\n$/, ''), whole.replace(/\n$/, ''), `seed ${seed}`)
})

test('times', () => {
  assert.equal(rfc3339Nano(1763685625123.4567), '2025-11-21T00:40:25.123456787Z')
  assert.equal(rotatedName('/l/0.log', '2025-11-21T00:40:25.123456787Z'), '/l/0.log.20251121-004025.123456787')
})

test('a full log gives way to a new one, the oldest go, no line is lost meanwhile', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'fairway-log-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'pod/c/0.log')
  const log = await openLog(path, { maxBytes: 2000, maxFiles: 3 })
  const seen: Buffer[] = []
  const lines = (name: string) => Readable.from(Array.from({ length: 100 }, (_, i) => Buffer.from(`${name} ${i}\n`)))
  await Promise.all([log.copy(lines('out'), 'stdout', chunk => seen.push(chunk)), log.copy(lines('err'), 'stderr', () => {})])
  await log.close()
  const files = readdirSync(join(directory, 'pod/c')).sort()
  assert.equal(files.length, 3)
  assert.ok(existsSync(path))
  const kept = [...files.slice(1), files[0]!].map(file => readFileSync(join(directory, 'pod/c', file), 'utf8')).join('')
  assert.ok(kept.split('\n').every(line => line === '' || / std(out|err) F (out|err) \d+$/.test(line)))
  assert.match(kept, /out 99\n/)
  assert.equal(seen.length, 100)
})
