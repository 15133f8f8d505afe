// JSON Patch (RFC 6902) with JSON Pointers (RFC 6901), as kube-apiserver's library (evanphx/json-patch)
// answers it: its error texts, its limits and its leniencies (a replace of an absent field adds it,
// a copy of one gives null, -1 is the last item of a list). The input document is never changed.
import { equal } from '#lib/equal.ts'
import { StatusError } from '#lib/errors.ts'
import { maxDepth, put } from './json.ts'
import { copy } from './strict.ts'

/** kube-apiserver's limits: operations in one patch, bytes that its copies may add. */
const maxOperations = 10_000
const maxCopied = 3 * 1024 * 1024

type Container = Record<string, unknown> | unknown[]
interface Place { readonly container: Container; readonly key: string }

const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null

/** The patch is well formed but does not apply; the library's text goes into a cause. */
function doesNotApply(message: string): never {
  throw new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request',
    { causes: [{ reason: 'UnexpectedServerResponse', message, field: 'patch' }] })
}
const malformed = (message: string): never => { throw new StatusError(400, 'BadRequest', message) }

/** Like Go's strconv.Atoi, in its words. */
function listIndex(key: string): number {
  if (/^[+-]?\d+$/.test(key)) return Number(key)
  return doesNotApply(`strconv.Atoi: parsing ${JSON.stringify(key)}: invalid syntax`)
}

const badIndex = (key: string): never => doesNotApply(`Unable to access invalid index: ${key}: invalid index referenced`)

/** The items that exist are 0 to length - 1, or -1 back to -length. */
function existingIndex(list: unknown[], key: string): number {
  const index = listIndex(key)
  if (index >= list.length || index < -list.length) return badIndex(key)
  return index < 0 ? index + list.length : index
}

function get({ container, key }: Place): unknown {
  if (Array.isArray(container)) return container[existingIndex(container, key)]
  return Object.hasOwn(container, key) ? container[key] : undefined
}

function add({ container, key }: Place, value: unknown): void {
  if (!Array.isArray(container)) return put(container, key, value)
  if (key === '-') { container.push(value); return }
  const index = within(`value was not a proper array index: '${key}'`, () => listIndex(key)), length = container.length
  if (index > length || index < -(length + 1)) badIndex(key)
  container.splice(index < 0 ? index + length + 1 : index, 0, value)
}

function replace({ container, key }: Place, value: unknown): void {
  if (Array.isArray(container)) container[existingIndex(container, key)] = value
  else put(container, key, value)
}

function remove({ container, key }: Place): void {
  if (Array.isArray(container)) container.splice(existingIndex(container, key), 1)
  else if (Object.hasOwn(container, key)) delete container[key]
  else doesNotApply(`Unable to remove nonexistent key: ${key}: missing value`)
}

/** Prefixes what a step found wrong with the path that the operation names. */
function within<T>(prefix: string, step: () => T): T {
  try {
    return step()
  } catch (error) {
    const cause = error instanceof StatusError ? error.status.details?.causes?.[0]?.message : undefined
    if (cause === undefined) throw error
    return doesNotApply(`${prefix}: ${cause}`)
  }
}

class Patcher {
  #document: unknown
  #copied = 0
  constructor(document: unknown) { this.#document = document }
  get document(): unknown { return this.#document }

  /** The container that the pointer's last part names something in; undefined where the way is missing. */
  #place(pointer: string): Place | undefined {
    const parts = pointer.split('/')
    if (parts.length < 2 || parts[0] !== '') return undefined
    const key = unescape(parts.pop()!)
    let at: unknown = this.#document
    for (const part of parts.slice(1)) {
      if (!isContainer(at)) return undefined
      at = step(at, unescape(part))
    }
    return isContainer(at) ? { container: at, key } : undefined
  }

  apply(operation: Record<string, unknown>): void {
    const kind = field(operation, 'op') ?? 'unknown'
    switch (kind) {
      case 'add': return this.#add(path(operation, kind), operation.value ?? null)
      case 'remove': return this.#remove(path(operation, kind))
      case 'replace': return this.#replace(path(operation, kind), operation.value ?? null)
      case 'move': return this.#move(from(operation, kind), path(operation, kind))
      case 'copy': return this.#copy(from(operation, kind), path(operation, kind))
      case 'test': return this.#test(path(operation, kind), operation.value ?? null)
      default: return doesNotApply(`Unexpected kind: ${kind}`)
    }
  }

  #checkDepth(pointer: string, value: unknown): void {
    const room = maxDepth - pointer.split('/').length
    if (!isWithinDepth(value, room)) doesNotApply(`exceeded max depth of ${maxDepth}`)
  }

  #add(pointer: string, value: unknown): void {
    this.#checkDepth(pointer, value)
    if (pointer === '') { this.#document = copy(value); return }
    const place = this.#place(pointer) ?? doesNotApply(`add operation does not apply: doc is missing path: "${pointer}": missing value`)
    within(`error in add for path: '${pointer}'`, () => add(place, copy(value)))
  }

  #remove(pointer: string): void {
    const place = this.#place(pointer) ?? doesNotApply(`remove operation does not apply: doc is missing path: "${pointer}": missing value`)
    within(`error in remove for path: '${pointer}'`, () => remove(place))
  }

  #replace(pointer: string, value: unknown): void {
    this.#checkDepth(pointer, value)
    if (pointer === '') { this.#document = copy(value); return }
    const place = this.#place(pointer) ?? doesNotApply(`replace operation does not apply: doc is missing path: ${pointer}: missing value`)
    try {
      replace(place, copy(value))
    } catch {
      doesNotApply(`replace operation does not apply: doc is missing key: ${pointer}: missing value`)
    }
  }

  #move(source: string, pointer: string): void {
    const origin = this.#place(source) ?? doesNotApply(`move operation does not apply: doc is missing from path: ${source}: missing value`)
    const value = within(`error in move for path: '${origin.key}'`, () => get(origin))
    this.#checkDepth(pointer, value)
    within(`error in move for path: '${origin.key}'`, () => remove(origin))
    if (pointer === '') { this.#document = value; return }
    const place = this.#place(pointer) ?? doesNotApply(`move operation does not apply: doc is missing destination path: ${pointer}: missing value`)
    within(`error in move for path: '${pointer}'`, () => add(place, value))
  }

  #copy(source: string, pointer: string): void {
    const value = source === '' ? this.#document : this.#copySource(source)
    this.#checkDepth(pointer, value)
    this.#copied += JSON.stringify(value).length
    if (this.#copied > maxCopied) {
      doesNotApply(`Unable to complete the copy, the accumulated size increase of copy is ${this.#copied}, exceeding the limit ${maxCopied}`)
    }
    const duplicate = copy(value)
    if (pointer === '') { this.#document = duplicate; return }
    const place = this.#place(pointer) ?? doesNotApply(`copy operation does not apply: doc is missing destination path: ${pointer}: missing value`)
    within('error while adding value during copy', () => add(place, duplicate))
  }

  #copySource(source: string): unknown {
    const origin = this.#place(source) ?? doesNotApply(`copy operation does not apply: doc is missing from path: ${source}: missing value`)
    return within(`error in copy for from: '${source}'`, () => get(origin)) ?? null
  }

  #test(pointer: string, value: unknown): void {
    const place = pointer === '' ? undefined
      : this.#place(pointer) ?? doesNotApply(`test operation does not apply: is missing path: ${pointer}: missing value`)
    const actual = place ? within(`error in test for path: '${pointer}'`, () => get(place)) ?? null : this.#document
    if (!equal(actual, value)) doesNotApply(`testing value ${pointer} failed: test failed`)
  }
}

/** RFC 6901 section 4: ~1 before ~0. */
const unescape = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

function step(container: Container, key: string): unknown {
  if (!Array.isArray(container)) return Object.hasOwn(container, key) ? container[key] : undefined
  return /^-?\d+$/.test(key) ? container.at(Number(key)) : undefined
}

const field = (operation: Record<string, unknown>, name: string): string | undefined =>
  Object.hasOwn(operation, name) && typeof operation[name] === 'string' ? operation[name] : undefined

const path = (operation: Record<string, unknown>, kind: string): string =>
  field(operation, 'path') ?? doesNotApply(`${kind} operation failed to decode path: missing value`)
const from = (operation: Record<string, unknown>, kind: string): string =>
  field(operation, 'from') ?? doesNotApply(`${kind} operation failed to decode from: operation, missing from field: missing value`)

function isWithinDepth(value: unknown, room: number): boolean {
  if (!isContainer(value)) return true
  return room > 0 && Object.values(value).every(inner => isWithinDepth(inner, room - 1))
}

const jsonTypeOf = (value: unknown): string => Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value

/**
 * The document with the operations applied in turn, all or none. Throws StatusError: 400 for what is
 * no patch, 413 for too many operations, 422 where an operation does not apply.
 */
export function jsonPatch(document: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) return malformed(`json: cannot unmarshal ${jsonTypeOf(operations)} into Go value of type jsonpatch.Patch`)
  if (operations.length > maxOperations) {
    throw new StatusError(413, 'RequestEntityTooLarge', `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${operations.length}`)
  }
  const patcher = new Patcher(copy(document))
  for (const operation of operations as unknown[]) {
    if (!isContainer(operation) || Array.isArray(operation)) {
      return malformed(`json: cannot unmarshal ${jsonTypeOf(operation)} into Go value of type jsonpatch.Operation`)
    }
    patcher.apply(operation)
  }
  return patcher.document
}
