// One storage, two APIs: an Event as core/v1 writes it and as events.k8s.io/v1 does. Nothing is lost
// either way.
import type { Event } from '#api/core/v1.ts'
import type { Event as EventV1 } from '#api/events/v1.ts'

/** Drops what is `undefined`, so that a converted object has the keys that one sent by a client would have. */
const defined = <T extends object>(object: T): T =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T

/** The form in storage. */
export function toCoreEvent(event: EventV1): Event {
  const { apiVersion: _, kind, metadata, regarding, note, reportingController, deprecatedSource, deprecatedFirstTimestamp,
    deprecatedLastTimestamp, deprecatedCount, ...same } = event
  return defined({ kind, apiVersion: 'v1', metadata, involvedObject: regarding ?? {}, message: note, reportingComponent: reportingController,
    source: deprecatedSource, firstTimestamp: deprecatedFirstTimestamp, lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount, ...same })
}

export function toEventV1(event: Event): EventV1 {
  const { apiVersion: _, kind, metadata, involvedObject, message, reportingComponent, source, firstTimestamp, lastTimestamp, count,
    ...same } = event
  return defined({ kind, apiVersion: 'events.k8s.io/v1', metadata, regarding: involvedObject, note: message,
    reportingController: reportingComponent, deprecatedSource: source, deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp, deprecatedCount: count, ...same } as EventV1)
}
