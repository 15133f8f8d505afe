// Strategic merge patch: a merge patch that knows from the type facts which lists merge by a key
// rather than replace each other. The algorithm, its directives and its error texts are those of
// apimachinery's strategicpatch (StrategicMergeMapPatch); the merge keys come from schema.ts.
import { StatusError } from '#lib/errors.ts'
import { put } from './json.ts'
import type { FieldSchema, StructSchema, ValueSchema } from './schema.ts'
import { structSchema } from './schema.ts'
import { copy } from './strict.ts'

type Object_ = Record<string, unknown>

const directive = '$patch'
const retainKeys = '$retainKeys'
const deletePrefix = '$deleteFromPrimitiveList'
const orderPrefix = '$setElementOrder'

const refuse = (message: string): never => { throw new StatusError(400, 'BadRequest', message) }
const isObject = (value: unknown): value is Object_ => typeof value === 'object' && value !== null && !Array.isArray(value)
const own = (object: Object_, key: string): unknown => Object.hasOwn(object, key) ? object[key] : undefined

/** As Go prints a value of JSON: `map[name:x port:80]`. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (isObject(value)) return `map[${Object.keys(value).sort().map(key => `${key}:${goText(value[key])}`).join(' ')}]`
  return value === null || value === undefined ? '<nil>' : String(value)
}

const noMergeKey = (item: unknown, key: string): never => refuse(`map: ${goText(item)} does not contain declared merge key: ${key}`)
const expected = (kind: string, value: unknown): never => refuse(`expected a ${kind}, but received a ${goKind(value)}`)

/** The Go type of a decoded JSON value: two of different kinds are never merged. */
function goKind(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  if (Array.isArray(value)) return 'slice'
  if (typeof value === 'object') return 'map'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

/** What the type says of a field; nothing is known below maps and raw JSON. */
function fieldOf(schema: ValueSchema, key: string): FieldSchema {
  if (schema.kind !== 'struct') return refuse(`merging an object in json but data type is not struct, instead is: ${schema.kind}`)
  return schema.struct!.byName.get(key)
    ?? refuse(`unable to find api field in struct ${schema.struct!.name} for the json field ${JSON.stringify(key)}`)
}
const strategyOf = (field: FieldSchema): string => field.patchStrategies.find(strategy => strategy !== 'retainKeys') ?? ''

// The functions below own both arguments (copies) and build the result out of them, as upstream does.

function mergeMap(original: Object_, patch: Object_, schema: ValueSchema): Object_ {
  if (Object.hasOwn(patch, directive)) return wholeMap(patch)
  applyRetainKeys(original, patch)
  for (const key of Object.keys(patch)) if (key.startsWith(orderPrefix)) mergeOrdered(original, patch, { key, schema })
  for (const key of Object.keys(patch)) {
    if (key.startsWith(deletePrefix)) deleteFromList(original, listName(key, deletePrefix, 'primitive list'), patch[key])
    else mergeField(original, patch[key], { key, schema })
  }
  return original
}

/** `$patch: replace` takes the patch as it is, `$patch: delete` leaves nothing. */
function wholeMap(patch: Object_): Object_ {
  const kind = patch[directive]
  if (kind === 'delete') return {}
  if (kind !== 'replace') return refuse(`unknown patch type: ${goText(kind)} in map: ${goText(patch)}`)
  delete patch[directive]
  return patch
}

function mergeField(original: Object_, change: unknown, { key, schema }: { key: string; schema: ValueSchema }): void {
  if (change === null || change === undefined) { delete original[key]; return }
  const before = own(original, key)
  if (isObject(change) && isObject(before)) {
    const field = fieldOf(schema, key)
    put(original, key, strategyOf(field) === 'replace' ? change : mergeMap(before, change, field.value))
  } else if (Array.isArray(change) && Array.isArray(before)) {
    const field = fieldOf(schema, key)
    put(original, key, mergeLists(before, change, field))
  } else {
    if (!Object.hasOwn(original, key) || goKind(before) !== goKind(change)) discardNulls(change)
    const kept = withoutDirectives(change)
    if (kept === undefined) delete original[key]
    else put(original, key, kept)
  }
}

function applyRetainKeys(original: Object_, patch: Object_): void {
  if (!Object.hasOwn(patch, retainKeys)) return
  const keys = patch[retainKeys]
  delete patch[retainKeys]
  if (!Array.isArray(keys)) return refuse('invalid patch format of retainKeys')
  const kept = new Set<unknown>(keys)
  for (const key of Object.keys(patch)) {
    if (patch[key] === null || key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue
    if (!kept.has(key)) refuse('invalid patch format of retainKeys')
  }
  for (const key of Object.keys(original)) if (!kept.has(key)) delete original[key]
}

function listName(key: string, prefix: string, what: string): string {
  if (key[prefix.length] !== '/') return refuse(`invalid patch format of ${what}`)
  return key.slice(prefix.length + 1)
}

function deleteFromList(original: Object_, key: string, values: unknown): void {
  const list = own(original, key)
  if (values === null) { delete original[key]; return }
  if (!Array.isArray(list) || !Array.isArray(values)) return
  const gone = new Set(values)
  put(original, key, list.filter(item => !gone.has(item)))
}

/** In place: members that are null go. */
function discardNulls(value: unknown): void {
  if (Array.isArray(value)) value.forEach(discardNulls)
  else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      if (value[key] === null) delete value[key]
      else discardNulls(value[key])
    }
  }
}

/** In place: maps that carry `$patch` go, whatever it says; undefined when the value is one. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter(item => item !== undefined)
  if (!isObject(value)) return value
  if (Object.hasOwn(value, directive)) return undefined
  for (const key of Object.keys(value)) {
    const kept = withoutDirectives(value[key])
    if (kept === undefined) delete value[key]
    else put(value, key, kept)
  }
  return value
}

// ---- lists

const mergeLists = (original: unknown[], patch: unknown[], field: FieldSchema): unknown[] =>
  strategyOf(field) === 'merge' ? mergeSlice(original, patch, field) : patch

function mergeSlice(original: unknown[], patch: unknown[], field: FieldSchema): unknown[] {
  if (original.length === 0 && patch.length === 0) return original
  const kind = itemKind(original, patch)
  if (kind !== 'map') return ordered([...new Set([...original, ...patch])], { first: patch, server: original, mergeKey: undefined })
  const mergeKey = field.patchMergeKey ?? refuse('cannot merge lists without merge key for struct')
  const { items, changes } = applyItemDirectives(original as Object_[], patch as Object_[], mergeKey)
  const merged = mergeItems(items, changes, { mergeKey, schema: field.value.item! })
  return ordered(merged, { first: changes, server: items, mergeKey })
}

function itemKind(...lists: unknown[][]): string {
  const kinds = new Set(lists.flat().map(goKind))
  if (kinds.has('slice')) {
    throw new StatusError(422, 'Invalid', 'lists of lists are not supported')
  }
  if (kinds.size > 1 || kinds.has('nil')) refuse(`list element types are not identical: ${goText(lists)}`)
  return [...kinds][0] ?? 'string'
}

/** Items `{$patch: delete, <key>}` remove theirs from the list, an item `{$patch: replace}` replaces it all. */
function applyItemDirectives(original: Object_[], patch: Object_[], mergeKey: string): { items: Object_[]; changes: Object_[] } {
  const changes: Object_[] = [], gone = new Set<unknown>()
  let replaced = false
  for (const item of patch) {
    const kind = own(item, directive)
    if (!Object.hasOwn(item, directive)) changes.push(item)
    else if (kind === 'delete') gone.add(Object.hasOwn(item, mergeKey) ? item[mergeKey] : noMergeKey(item, mergeKey))
    else if (kind === 'replace') replaced = true
    else if (kind === 'merge') refuse('merging lists cannot yet be specified in the patch')
    else refuse(`unknown patch type: ${goText(kind)} in map: ${goText(item)}`)
  }
  if (replaced) return { items: changes, changes: [] }
  return { items: gone.size ? original.filter(item => !gone.has(own(item, mergeKey))) : original, changes }
}

function mergeItems(original: Object_[], changes: Object_[], { mergeKey, schema }: { mergeKey: string; schema: ValueSchema }): Object_[] {
  const merged = [...original]
  const places = placesOf(merged, mergeKey)
  for (const change of changes) {
    if (!Object.hasOwn(change, mergeKey)) noMergeKey(change, mergeKey)
    const place = places.get(change[mergeKey])
    if (place !== undefined) merged[place] = mergeMap(merged[place]!, change, schema)
    else { places.set(change[mergeKey], merged.length); merged.push(change) }
  }
  return merged
}

/** Key value (or the item itself) to the index of its first occurrence. */
function placesOf(list: readonly unknown[], mergeKey: string | undefined): Map<unknown, number> {
  const places = new Map<unknown, number>()
  list.forEach((item, index) => {
    const key = identity(item, mergeKey)
    if (!places.has(key)) places.set(key, index)
  })
  return places
}

function identity(item: unknown, mergeKey: string | undefined): unknown {
  if (mergeKey === undefined) return item
  if (!isObject(item)) return expected('map', item)
  return Object.hasOwn(item, mergeKey) ? item[mergeKey] : noMergeKey(item, mergeKey)
}

interface Order { readonly first: readonly unknown[]; readonly server: readonly unknown[]; readonly mergeKey: string | undefined }

/**
 * normalizeElementOrder: the items that the patch names stand in the patch's order; an item that only
 * the server has keeps its place before a patch item that it stood before.
 */
function ordered(merged: readonly unknown[], { first, server, mergeKey }: Order): unknown[] {
  const patchPlaces = placesOf(first, mergeKey), serverPlaces = placesOf(server, mergeKey)
  const place = (places: Map<unknown, number>, item: unknown) => places.get(identity(item, mergeKey))
  const by = (places: Map<unknown, number>) => (a: unknown, b: unknown) =>
    (place(places, a) ?? Infinity) - (place(places, b) ?? Infinity) || 0
  const patchItems = merged.filter(item => place(patchPlaces, item) !== undefined).sort(by(patchPlaces))
  const serverItems = merged.filter(item => place(patchPlaces, item) === undefined).sort(by(serverPlaces))
  const result: unknown[] = []
  let next = 0
  for (const item of patchItems) {
    const limit = place(serverPlaces, item) ?? -1
    while (next < serverItems.length && (place(serverPlaces, serverItems[next]) ?? Infinity) < limit) result.push(serverItems[next++])
    result.push(item)
  }
  return [...result, ...serverItems.slice(next)]
}

/** `$setElementOrder/<list>` together with the list's own changes, which are taken out of the patch. */
function mergeOrdered(original: Object_, patch: Object_, { key, schema }: { key: string; schema: ValueSchema }): void {
  const order = patch[key]
  delete patch[key]
  if (!Array.isArray(order)) return expected('slice', order)
  const name = listName(key, orderPrefix, 'setElementOrder list')
  const before = listOrAbsent(own(original, name)), changes = listOrAbsent(own(patch, name))
  const field = fieldOf(schema, name), mergeKey = field.patchMergeKey
  checkOrder(changes ?? [], order, mergeKey)
  if (!before && !changes) return
  const merged = !before ? withoutDirectives(changes) as unknown[] : changes ? mergeLists(before, changes, field) : before
  put(original, name, ordered(merged, { first: order, server: before ?? [], mergeKey }))
  delete patch[name]
}

function listOrAbsent(value: unknown): unknown[] | undefined {
  if (value === undefined) return undefined
  return Array.isArray(value) ? value : expected('slice', value)
}

/** validatePatchWithSetOrderList: the patch's items must appear in the order list, in that order. */
function checkOrder(changes: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): void {
  const named = changes.filter(item => !(isObject(item) && Object.hasOwn(item, directive)))
  if (order.length === 0) return
  let next = 0
  for (const item of order) {
    if (next < named.length && identity(named[next], mergeKey) === identity(item, mergeKey)) next++
  }
  if (next < named.length) {
    refuse(`The order in patch list:\n${goText(changes)}\n doesn't match ${orderPrefix} list:\n${goText(order)}\n`)
  }
}

/** Throws StatusError 400 where the patch does not fit the type, a plain Error where no such type exists. */
export function strategicMergePatch(document: unknown, patch: unknown, { packageName, kind }: { packageName: string; kind: string }): unknown {
  const struct: StructSchema | undefined = structSchema(packageName, kind) ?? structSchema('meta/v1', kind)
  if (!struct) throw new Error(`no type ${packageName} ${kind} in kubernetes-types.json`)
  if (!isObject(patch) || !isObject(document)) return refuse('invalid JSON document')
  return mergeMap(copy(document) as Object_, copy(patch) as Object_, { kind: 'struct', goType: kind, struct })
}
