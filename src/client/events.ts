// The event recorder: tells people what a component did to an object, as core/v1 Events. Never
// throws and never keeps anyone waiting: events are written one after another, behind the work.
import type { Event, ObjectReference } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { systemClock, time, type Clock } from '#lib/clock.ts'
import { isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Client } from './client.ts'
import { EventCorrelator } from './correlate.ts'

export interface EventRecorder {
  /** About an object, or a reference (with `fieldPath`, say). */
  event(about: KubeObject | ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Resolves when all events so far are written or given up. */
  flush(): Promise<void>
}

export interface RecorderOptions {
  /** `deployment-controller`, `default-scheduler`, `kubelet`: column From of `kubectl describe`. */
  readonly component: string
  /** The node that the component runs on. */
  readonly host?: string
  readonly log: Log
  readonly clock?: Clock
}

const maxWaiting = 1000

export function eventRecorder(client: Client, options: RecorderOptions): EventRecorder {
  const clock = options.clock ?? systemClock
  const correlator = new EventCorrelator()
  let written = Promise.resolve(), waiting = 0
  const write = async (event: Event) => {
    // Off the path of the work that caused it.
    await new Promise(setImmediate)
    try { await send(client, correlator, event, clock.now()) } catch (error) {
      options.log.warn('event not written', { reason: event.reason, object: event.involvedObject.name, err: (error as Error).message })
    } finally { waiting-- }
  }
  return {
    event(about, type, reason, message) {
      if (waiting >= maxWaiting) return
      waiting++
      const event = draftEvent(about, { type, reason, message }, options, clock.now())
      written = written.then(() => write(event))
    },
    flush: () => written,
  }
}

async function send(client: Client, correlator: EventCorrelator, draft: Event, now: number): Promise<void> {
  const result = correlator.correlate(draft, now)
  if (result.act === 'drop') return
  const { event } = result
  if (result.act === 'update') {
    const { count, lastTimestamp, message } = event
    try {
      await client.patch(resources.events, event.metadata.namespace, event.metadata.name, { count, lastTimestamp, message })
      return
    } catch (error) {
      if (!isNotFound(error)) throw error
      correlator.forget(event)
    }
  }
  await client.create(resources.events, event.metadata.namespace, { ...event, metadata: { ...event.metadata, name: draft.metadata.name } })
}

let sequence = 0

function draftEvent(about: KubeObject | ObjectReference, words: Pick<Event, 'type' | 'reason' | 'message'>, options: RecorderOptions, now: number): Event {
  const involvedObject = referenceTo(about)
  const namespace = involvedObject.namespace || 'default'
  // client-go's name is the object's and the time in nanoseconds; ours has a counter where the clock is too coarse.
  sequence = (sequence + 1) % 1_000_000
  const name = `${involvedObject.name}.${(BigInt(now) * 1_000_000n + BigInt(sequence)).toString(16)}`
  return { apiVersion: 'v1', kind: 'Event', metadata: { name, namespace }, involvedObject, ...words,
    source: { component: options.component, ...(options.host && { host: options.host }) },
    firstTimestamp: time(now), lastTimestamp: time(now), count: 1,
    reportingComponent: options.component, reportingInstance: options.host ?? '' }
}

export function referenceTo(about: KubeObject | ObjectReference): ObjectReference {
  if (!('metadata' in about)) return about
  const { namespace, name, uid, resourceVersion } = about.metadata
  return { apiVersion: about.apiVersion, kind: about.kind, ...(namespace && { namespace }), name, uid, resourceVersion }
}
