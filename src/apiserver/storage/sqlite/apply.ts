// The durable storage: the state machine in memory, with SQLite as its log. Writes that arrive in one
// turn of the event loop share one commit; nobody hears of a write before it is on disk. The log is
// read once, at opening. Not for two processes at a time: the file is locked.
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { jsonOf } from '../json.ts'
import { State, deepFreeze } from '../state.ts'
import { maxHistory, type Entry, type Storage, type StorageEvent, type Transaction, type TransactionResult } from '../storage.ts'
import { Watchers } from '../watchers.ts'

// `value` is null for a deletion. Ordered by revision, so that every write appends.
const schema = `
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER NOT NULL, key TEXT NOT NULL, create_revision INTEGER NOT NULL, value TEXT,
    PRIMARY KEY (revision, key)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;`
const format = 1

interface Waiting {
  readonly transaction: Transaction
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (error: Error) => void
}

/** Opens or makes the database; throws an error that says what to do when the file cannot be used. */
export function openSqliteStorage(file: string, { history = maxHistory }: { history?: number } = {}): Storage {
  try {
    return new SqliteStorage(file, history)
  } catch (error) {
    throw new Error(`cannot open the storage ${file}: ${(error as Error).message}; ${remedy(error as Error)}`, { cause: error })
  }
}

const remedy = (error: Error): string => /locked|busy/.test(error.message)
  ? 'another API server uses it: stop that one first'
  : 'put back a copy of the file (with its -wal file), or remove both to begin with an empty cluster'

class SqliteStorage implements Storage {
  readonly #state = new State()
  readonly #watchers = new Watchers()
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #remove: StatementSync
  readonly #setMeta: StatementSync
  readonly #history: number
  #waiting: Waiting[] = []
  #flush: NodeJS.Immediate | undefined
  #broken: Error | undefined

  constructor(file: string, history: number) {
    this.#history = history
    this.#database = new DatabaseSync(file)
    try {
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
      this.#database.exec(schema)
      this.#load()
    } catch (error) {
      this.#database.close()
      throw error
    }
    this.#insert = this.#database.prepare('INSERT INTO log (revision, key, create_revision, value) VALUES (?, ?, ?, ?)')
    this.#remove = this.#database.prepare('DELETE FROM log WHERE revision = ? AND key = ?')
    this.#setMeta = this.#database.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
  }

  get revision(): number { return this.#state.revision }
  get compactedRevision(): number { return this.#state.compactedRevision }
  get(key: string): Entry | undefined { return this.#state.get(key) }
  list(prefix: string, options?: Parameters<Storage['list']>[1]) { return this.#state.list(prefix, options) }
  watch(prefix: string, fromRevision: number, listener: (events: readonly StorageEvent[]) => void): () => void {
    return this.#watchers.add(prefix, listener, { past: this.#state.since(fromRevision), revision: this.#state.revision })
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ transaction, resolve, reject })
      this.#flush ??= setImmediate(() => this.#commit())
    })
  }

  async compact(revision: number): Promise<void> {
    if (this.#broken) throw this.#broken
    try {
      this.#inTransaction(() => this.#compact(revision))
    } catch (error) {
      throw this.#break(error as Error)
    }
  }

  async close(): Promise<void> {
    if (this.#flush) { clearImmediate(this.#flush); this.#commit() }
    this.#broken ??= new Error('the storage is closed')
    if (this.#database.isOpen) this.#database.close()
  }

  // Runs to its end in one go, so that no reader sees the state between apply and commit.
  #commit(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#flush = undefined
    const written: StorageEvent[] = []
    const results: TransactionResult[] = []
    try {
      if (this.#broken) throw this.#broken
      for (const { transaction } of waiting) {
        const events = this.#state.apply(transaction)
        written.push(...events ?? [])
        results.push({ succeeded: events !== undefined, revision: this.#state.revision, events: events ?? [] })
      }
      if (written.length > 0) this.#inTransaction(() => { for (const event of written) this.#log(event) })
    } catch (error) {
      this.#state.undo(written)
      const broken = this.#break(error as Error)
      for (const { reject } of waiting) reject(broken)
      return
    }
    waiting.forEach(({ resolve }, index) => resolve(results[index]!))
    this.#watchers.publish(written)
    // Cut in steps of a tenth, so that the cost is spread over many writes.
    if (this.#state.historyLength > this.#history * 1.1) this.compact(this.#state.revisionToKeep(this.#history)).catch(() => {})
  }

  // After a failed commit nobody knows what the disk holds: only a restart may tell.
  #break(error: Error): Error {
    return this.#broken ??= new Error(`the storage failed and takes no more writes until a restart: ${error.message}`, { cause: error })
  }

  #inTransaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #log({ revision, key, now, old }: StorageEvent): void {
    this.#insert.run(revision, key, (now ?? old)!.createRevision, now ? jsonOf(now.value) : null)
  }

  /** Forgets events; what each of them superseded, and each deletion itself, leaves the log. */
  #compact(revision: number): void {
    for (const event of this.#state.compact(revision)) {
      if (event.old) this.#remove.run(event.old.modRevision, event.key)
      if (!event.now) this.#remove.run(event.revision, event.key)
    }
    this.#setMeta.run('compacted', this.#state.compactedRevision)
    // The deletions may have taken the latest rows with them.
    this.#setMeta.run('revision', this.#state.revision)
  }

  #load(): void {
    const meta = new Map(this.#database.prepare('SELECT name, value FROM meta').all().map(row => [row.name as string, row.value as number]))
    if ((meta.get('format') ?? format) !== format) throw new Error(`it has format ${meta.get('format')}, this program reads format ${format}`)
    this.#database.exec(`INSERT OR IGNORE INTO meta (name, value) VALUES ('format', ${format})`)
    const compacted = meta.get('compacted') ?? 0
    let pending: StorageEvent[] = []
    for (const row of this.#database.prepare('SELECT revision, key, create_revision, value FROM log ORDER BY revision, key').iterate()) {
      const entry = entryOf(row as unknown as Row)
      const { revision, key } = row as unknown as Row
      if (revision <= compacted) { if (entry) this.#state.load(entry); continue }
      if (pending[0] && pending[0].revision !== revision) { this.#state.replay(pending[0].revision, pending); pending = [] }
      pending.push({ revision, key, old: this.#state.get(key), now: entry })
    }
    if (pending[0]) this.#state.replay(pending[0].revision, pending)
    this.#state.revision = Math.max(this.#state.revision, meta.get('revision') ?? 0, compacted)
    this.#state.compactedRevision = compacted
  }
}

interface Row { revision: number; key: string; create_revision: number; value: string | null }

function entryOf({ revision, key, create_revision, value }: Row): Entry | undefined {
  return value === null ? undefined
    : { key, value: deepFreeze(JSON.parse(value) as object), createRevision: create_revision, modRevision: revision }
}
