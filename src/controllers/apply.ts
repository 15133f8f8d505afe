// What all controllers share at the edge: one informer a resource, one event recorder a component,
// and the loop from a work queue to a controller's sync. Decides nothing.
import type { KubeObject } from '#api/object.ts'
import { groupVersion, type Resource } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { eventRecorder, type EventRecorder } from '#client/events.ts'
import { startInformer, type Informer } from '#client/informer.ts'
import { runWorkers, WorkQueue } from '#client/workqueue.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'

export interface Context {
  readonly client: Client
  readonly log: Log
  readonly signal: AbortSignal
  readonly clock: Clock
  /** The one informer of the resource, started on first use. */
  informer<T extends KubeObject>(resource: Resource): Informer<T>
  recorder(component: string): EventRecorder
  /** Runs `sync` for the keys of the queue it returns, once all informers named are synced. */
  run(loop: Loop): WorkQueue
}

export interface Loop {
  readonly name: string
  readonly informers: readonly Pick<Informer<KubeObject>, 'synced'>[]
  readonly workers?: number
  sync(key: string): Promise<void>
}

/** A context, and the promises that main.ts waits for. */
export interface Started extends Context {
  readonly ready: () => Promise<void>
  readonly stopped: () => Promise<void>
}

export function startContext(base: Pick<Context, 'client' | 'log' | 'signal' | 'clock'>): Started {
  const informers = new Map<string, Informer<KubeObject>>(), recorders = new Map<string, EventRecorder>()
  const running: Promise<unknown>[] = []
  return {
    ...base,
    informer<T extends KubeObject>(resource: Resource) {
      const name = `${groupVersion(resource)}/${resource.plural}`
      if (!informers.has(name)) informers.set(name, startInformer<T>(base.client, resource, base) as unknown as Informer<KubeObject>)
      return informers.get(name) as unknown as Informer<T>
    },
    recorder(component) {
      if (!recorders.has(component)) recorders.set(component, eventRecorder(base.client, { component, log: base.log, clock: base.clock }))
      return recorders.get(component)!
    },
    run(loop) {
      const queue = new WorkQueue({ clock: base.clock })
      base.signal.addEventListener('abort', () => queue.shutdown(), { once: true })
      const log = base.log.named(loop.name)
      running.push(Promise.all(loop.informers.map(informer => informer.synced)).then(
        () => runWorkers(queue, { log, workers: loop.workers ?? 5, sync: loop.sync }), () => {}))
      return queue
    },
    async ready() { await Promise.all([...informers.values()].map(informer => informer.synced)) },
    async stopped() {
      await Promise.all(running)
      await Promise.all([...recorders.values()].map(recorder => recorder.flush()))
    },
  }
}

/** Slow start (upstream's slowStartBatch): a few first, then twice as many, until one fails; returns how many were done. */
export async function slowStart(count: number, run: (index: number) => Promise<void>): Promise<{ done: number; error: unknown }> {
  let done = 0
  // Upstream begins with one; eight cost no more against a quota that refuses, and save a small workload three round trips.
  for (let batch = 8; done < count; batch *= 2) {
    const size = Math.min(batch, count - done)
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => run(done + i)))
    done += results.filter(result => result.status === 'fulfilled').length
    const failure = results.find(result => result.status === 'rejected')
    if (failure) return { done, error: failure.reason }
  }
  return { done, error: undefined }
}
