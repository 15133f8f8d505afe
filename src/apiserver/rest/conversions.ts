// Resources that share one storage with another version of themselves: events.k8s.io/v1 and core/v1 Events.
import type { Conversion } from './store.ts'
import { toCoreEvent, toEventV1 } from '../registry/events.ts'

/** The first segment of a resource's keys, by its key in `resources`. */
export const storagePrefixOf = (key: string): string => key === 'eventsV1' ? 'events' : key

export const conversionOf = (key: string): Conversion | undefined =>
  key === 'eventsV1' ? { decode: toEventV1, encode: toCoreEvent } as Conversion : undefined
