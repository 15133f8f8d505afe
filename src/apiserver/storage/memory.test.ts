import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { conformance } from './conformance.ts'
import { memoryStorage } from './memory.ts'
import { CompactedError } from './storage.ts'

describe('the storage in memory', () => {
  for (const [name, run] of Object.entries(conformance)) test(name, () => run(memoryStorage()))

  test('keeps a bounded history', async () => {
    const storage = memoryStorage({ history: 10 })
    for (let n = 0; n < 100; n++) await storage.transact({ compares: [], puts: [{ key: 'pods/a', value: { n } }] })
    assert.throws(() => storage.watch('pods/', 50, () => {}), CompactedError)
    let seen = 0
    storage.watch('pods/', storage.revision - 10, events => { seen = events.length })
    assert.equal(seen, 10)
  })
})
