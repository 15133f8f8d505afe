// The durable storage: the shared suite, restarts, damage, and kill -9 at random moments.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, test } from 'node:test'
import { conformance } from '../conformance.ts'
import { CompactedError } from '../storage.ts'
import { openSqliteStorage } from './apply.ts'

const dir = mkdtempSync(join(tmpdir(), 'fairway-storage-'))
after(() => rmSync(dir, { recursive: true }))
let files = 0
const newFile = () => join(dir, `${++files}.db`)
const write = (key: string, value: object = {}) => ({ compares: [], puts: [{ key, value }] })
const rows = (file: string): number => {
  const database = new DatabaseSync(file, { readOnly: true })
  try { return database.prepare('SELECT count(*) AS n FROM log').get()!.n as number } finally { database.close() }
}

describe('the storage in SQLite', () => {
  for (const [name, run] of Object.entries(conformance)) {
    test(name, async () => {
      const storage = openSqliteStorage(newFile())
      try { await run(storage) } finally { await storage.close() }
    })
  }

  test('everything is there after a restart: values, revision, and the history', async () => {
    const file = newFile()
    const first = openSqliteStorage(file)
    await first.transact(write('pods/a', { metadata: { name: 'a' } }))
    await first.transact({ compares: [], puts: [{ key: 'pods/b', value: { n: 2 } }, { key: 'services/s', value: {} }] })
    await first.transact({ compares: [], deletes: ['pods/a'] })
    await first.close()
    const second = openSqliteStorage(file)
    assert.equal(second.revision, 3)
    assert.deepEqual(second.list('pods/').entries, [{ key: 'pods/b', value: { n: 2 }, createRevision: 2, modRevision: 2 }])
    const seen: unknown[] = []
    second.watch('pods/', 1, events => { seen.push(...events.map(({ revision, key, old, now }) => [revision, key, old?.value, now?.value])) })
    assert.deepEqual(seen, [[2, 'pods/b', undefined, { n: 2 }], [3, 'pods/a', { metadata: { name: 'a', resourceVersion: '1' } }, undefined]])
    assert.equal((await second.transact(write('pods/c'))).revision, 4)
    await second.close()
  })

  test('the revision survives although compaction has taken the latest rows', async () => {
    const file = newFile()
    const first = openSqliteStorage(file)
    await first.transact(write('pods/a'))
    await first.transact({ compares: [], deletes: ['pods/a'] })
    await first.compact(2)
    await first.close()
    assert.equal(rows(file), 0)
    const second = openSqliteStorage(file)
    assert.deepEqual([second.revision, second.compactedRevision], [2, 2])
    assert.throws(() => second.watch('pods/', 1, () => {}), CompactedError)
    await second.close()
  })

  test('compaction keeps the log as large as what is stored', async () => {
    const file = newFile()
    const storage = openSqliteStorage(file, { history: 20 })
    for (let from = 0; from < 300; from += 10) await Promise.all(Array.from({ length: 10 }, (_, n) => storage.transact(write(`pods/${n % 5}`, { n: from + n }))))
    await storage.close()
    assert.ok(rows(file) <= 5 + 22 + 10, `${rows(file)} rows`)
    const again = openSqliteStorage(file)
    assert.deepEqual(again.list('pods/').entries.map(entry => entry.value), [295, 296, 297, 298, 299].map(n => ({ n })))
    await again.close()
  })

  test('writes that arrive together share one commit', async () => {
    const storage = openSqliteStorage(newFile())
    const done: number[] = []
    const writes = Array.from({ length: 50 }, (_, n) => storage.transact(write(`pods/${n}`)).then(() => { done.push(storage.revision) }))
    assert.equal(storage.revision, 0)
    assert.equal(storage.get('pods/0'), undefined)
    await Promise.all(writes)
    assert.deepEqual(new Set(done), new Set([50]))
    await storage.close()
  })

  test('a write waiting at the close is still written', async () => {
    const file = newFile()
    const storage = openSqliteStorage(file)
    const written = storage.transact(write('pods/a'))
    await storage.close()
    assert.equal((await written).succeeded, true)
    await assert.rejects(storage.transact(write('pods/b')), /closed/)
    assert.equal(rows(file), 1)
  })

  test('a second opener is refused, and told why', async () => {
    const file = newFile()
    const storage = openSqliteStorage(file)
    await storage.transact(write('pods/a'))
    assert.throws(() => openSqliteStorage(file), /cannot open the storage .* is locked; another API server uses it/)
    await storage.close()
  })

  const damages: Record<string, (file: string) => void> = {
    'no database at all': file => writeFileSync(file, 'not a database, but long enough to be looked at as one'.repeat(100)),
    'a database cut off in the middle': file => truncateSync(file, 8192),
    'a page overwritten': file => { const bytes = readFileSync(file); bytes.fill(0x5a, 4096, 12_288); writeFileSync(file, bytes) },
  }
  for (const [name, damage] of Object.entries(damages)) {
    test(`refuses ${name} with what to do`, async () => {
      const file = newFile()
      const storage = openSqliteStorage(file)
      await Promise.all(Array.from({ length: 100 }, (_, n) => storage.transact(write(`pods/${n}`, { text: 'x'.repeat(500) }))))
      await storage.close()
      damage(file)
      assert.throws(() => openSqliteStorage(file), /cannot open the storage .*put back a copy of the file/)
    })
  }
})

// The child counts up in several keys at once and says each acknowledged number on stdout.
const child = `
  import { openSqliteStorage } from ${JSON.stringify(new URL('./apply.ts', import.meta.url).href)}
  const storage = openSqliteStorage(process.argv[1])
  const from = storage.revision
  for (let n = from + 1; ; n++) {
    storage.transact({ compares: [], puts: [{ key: 'pods/last', value: { n } }, { key: 'pods/' + n % 97, value: { n, text: 'x'.repeat(n % 3000) } }] })
      .then(() => process.stdout.write(n + '\\n'))
    if (n % 7 === 0) await new Promise(resolve => setImmediate(resolve))
    if (n % 500 === 0) await storage.compact(n - 100)
  }`

test('kill -9 loses no acknowledged write', { timeout: 60_000 }, async t => {
  const file = newFile()
  for (let round = 0; round < 6; round++) {
    const delay = 60 + Math.floor(Math.random() * 250)
    t.diagnostic(`round ${round}: killed ${delay} ms after the first answer`)
    const acknowledged = await runAndKill(file, delay)
    const storage = openSqliteStorage(file)
    const last = (storage.get('pods/last')!.value as { n: number }).n
    assert.ok(last >= acknowledged, `acknowledged ${acknowledged}, found ${last}`)
    assert.equal(storage.revision, last)
    // Both keys of a transaction, or none.
    assert.equal((storage.get(`pods/${last % 97}`)!.value as { n: number }).n, last)
    await storage.close()
  }
})

async function runAndKill(file: string, delay: number): Promise<number> {
  const running = spawn(process.execPath, ['--input-type=module', '--eval', child, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = '', killing = false
  running.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-1000)
    if (!killing) { killing = true; setTimeout(() => running.kill('SIGKILL'), delay) }
  })
  await new Promise(resolve => running.once('close', resolve))
  const complete = text.slice(0, text.lastIndexOf('\n'))
  return Number(complete.slice(complete.lastIndexOf('\n') + 1))
}
