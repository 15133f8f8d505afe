// The runtime's side of the sandbox thread: a request is a promise. One thread serves all nodes of
// the process; it starts with the first runtime and keeps the process alive while something runs.
import { Worker } from 'node:worker_threads'
import { interpreterPath } from '#host/program.ts'
import type { ExitEvent, Request, Results } from '../requests.ts'

export interface SandboxThread {
  ask<K extends Request['kind']>(request: Extract<Request, { kind: K }>): Promise<Results[K]>
  /** Once for the process of a start or exec with this id. */
  onExit(id: string, listener: (exitCode: number) => void): void
  /** No process came of it. */
  forget(id: string): void
}

type Message = { readonly kind: 'answer'; readonly number: number; readonly value: unknown; readonly error?: string } | ExitEvent

let shared: SandboxThread | undefined
export const sandboxThread = (): SandboxThread => shared ??= startThread()

function startThread(): SandboxThread {
  // Before the thread is there: see interpreterPath.
  const interpreter = interpreterPath()
  const worker = new Worker(new URL('./main.ts', import.meta.url), {
    workerData: { interpreter }, execArgv: ['--disable-warning=ExperimentalWarning'], name: 'sandbox',
    trackUnmanagedFds: false, // descriptors from the C library cross the threads
  })
  const asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const listeners = new Map<string, (exitCode: number) => void>()
  const keep = () => { if (asked.size + listeners.size > 0) worker.ref(); else worker.unref() }
  worker.once('online', keep) // unref has no effect before
  worker.on('message', (message: Message) => {
    if (message.kind === 'exit') {
      listeners.get(message.id)?.(message.exitCode)
      listeners.delete(message.id)
      return keep()
    }
    const question = asked.get(message.number)!
    asked.delete(message.number)
    keep()
    if (message.error !== undefined) question.reject(new Error(message.error))
    else question.resolve(message.value)
  })
  // A failed thread has taken every container with it: nothing that could be repaired from here.
  worker.on('error', error => { throw error })
  let number = 0
  return {
    ask(request) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      asked.set(++number, { resolve, reject })
      keep()
      worker.postMessage({ number, request })
      return promise as Promise<never>
    },
    onExit: (id, listener) => { listeners.set(id, listener); keep() },
    forget: id => { listeners.delete(id); keep() },
  }
}
