// The storage for tests: the state machine alone, gone with the process.
import { State } from './state.ts'
import { maxHistory, type Storage } from './storage.ts'
import { Watchers } from './watchers.ts'

export function memoryStorage({ history = maxHistory }: { history?: number } = {}): Storage {
  const state = new State()
  const watchers = new Watchers()
  return {
    get revision() { return state.revision },
    get compactedRevision() { return state.compactedRevision },
    get: key => state.get(key),
    list: (prefix, options) => state.list(prefix, options),
    async transact(transaction) {
      const events = state.apply(transaction)
      if (events) watchers.publish(events)
      // Cut in steps of a tenth, so that the cost of moving the array is spread over many writes.
      if (state.historyLength > history * 1.1) state.compact(state.revisionToKeep(history))
      return { succeeded: events !== undefined, revision: state.revision, events: events ?? [] }
    },
    watch: (prefix, fromRevision, listener) =>
      watchers.add(prefix, listener, { past: state.since(fromRevision), revision: state.revision }),
    async compact(revision) { state.compact(revision) },
    async close() {},
  }
}
