// Events, of both APIs: core/v1 and events.k8s.io/v1 are one storage (events.ts converts), so that the
// same rules are asked of either form.
import type { Event } from '#api/core/v1.ts'
import type { Event as EventV1 } from '#api/events/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { since } from './duration.ts'
import { toCoreEvent } from './events.ts'
import { forbidden, invalid, required } from './fields.ts'
import { dns1123Subdomain } from './names.ts'
import type { Column, FieldError } from './strategy.ts'

/** An event's namespace is its object's; that of a cluster-scoped object is `default`. */
function validateNamespace(event: Event): FieldError[] {
  const about = event.involvedObject.namespace ?? ''
  const own = event.metadata.namespace ?? ''
  if (about === own || (about === '' && (own === 'default' || own === 'kube-system'))) return []
  return [invalid('involvedObject.namespace', about, about === '' ? 'not allowed in namespace' : 'does not match event.namespace')]
}

const firstSeen = (event: Event): string | undefined => event.firstTimestamp ?? event.eventTime
const lastSeen = (event: Event): string | undefined => event.series?.lastObservedTime ?? event.lastTimestamp ?? firstSeen(event)

const source = (event: Event) => [event.source?.component || event.reportingComponent, event.source?.host || event.reportingInstance]
  .filter(part => part).join(', ')

// printEvent's order; Name is its own here because it comes last.
const columns: readonly Column<Event>[] = [
  { name: 'Last Seen', description: 'Time since it was last seen.', value: (event, now) => since(lastSeen(event), now) },
  { name: 'Type', description: 'Normal or Warning.', value: event => event.type ?? '' },
  { name: 'Reason', description: 'One word, for programs.', value: event => event.reason ?? '' },
  { name: 'Object', description: 'What it is about.', value: ({ involvedObject: about }) => (about.kind ?? '').toLowerCase() + (about.name ? `/${about.name}` : '') },
  { name: 'Subobject', wide: true, description: 'The part of the object.', value: event => event.involvedObject.fieldPath ?? '' },
  { name: 'Source', wide: true, description: 'Who reported it.', value: source },
  { name: 'Message', description: 'For people.', value: event => (event.message ?? '').trim() },
  { name: 'First Seen', wide: true, description: 'Time since it was first seen.', value: (event, now) => since(firstSeen(event), now) },
  { name: 'Count', type: 'integer', wide: true, description: 'How often it was seen.', value: event => event.series?.count ?? (event.count || 1) },
  { name: 'Name', format: 'name', wide: true, description: 'Unique within its namespace; set at creation.', value: event => event.metadata.name },
]

const selectableFields = (event: Event): Record<string, string> => ({
  ...Object.fromEntries((['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const)
    .map(key => [`involvedObject.${key}`, event.involvedObject[key] ?? ''])),
  reason: event.reason ?? '', reportingComponent: event.reportingComponent ?? '',
  source: event.source?.component || event.reportingComponent || '', type: event.type ?? '',
})

export const events = define<Event>({
  resource: resources.events,
  name: dns1123Subdomain,
  defaults(draft) { draft.involvedObject ??= {} },
  validate: validateNamespace,
  selectableFields,
  columns,
})

/** ValidateEventCreate: what only the newer API asks for. Old-style events converted to it have no eventTime. */
function validateV1(event: EventV1): FieldError[] {
  const errors = validateNamespace(toCoreEvent(event))
    .map(error => ({ ...error, field: error.field.replace('involvedObject', 'regarding') }))
  if (!event.eventTime) return errors
  for (const key of ['reportingController', 'reportingInstance', 'action', 'reason'] as const)
    if (!event[key]) errors.push(required(key))
  if ((event.reason ?? '').length > 128) errors.push(invalid('reason', event.reason, 'can have at most 128 characters'))
  if ((event.note ?? '').length > 1024) errors.push(invalid('note', event.note, 'can have at most 1024 characters'))
  if (event.type !== 'Normal' && event.type !== 'Warning') errors.push(invalid('type', event.type ?? '', 'has invalid value: '))
  for (const key of ['deprecatedFirstTimestamp', 'deprecatedLastTimestamp', 'deprecatedCount'] as const)
    if (event[key]) errors.push(forbidden(key, 'needs to be unset'))
  return errors
}

export const eventsV1 = define<EventV1>({
  resource: resources.eventsV1,
  name: dns1123Subdomain,
  validate: validateV1,
  selectableFields: event => Object.fromEntries(Object.entries(selectableFields(toCoreEvent(event)))
    .flatMap(([key, value]) => key.startsWith('involvedObject.') ? [[key.replace('involvedObject', 'regarding'), value], [key, value]] : [[key, value]])),
  columns: columns.map(column => ({ ...column, value: (event: EventV1, now: number) => column.value(toCoreEvent(event), now) })),
})
