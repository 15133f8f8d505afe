// For tests: what the machinery does with a strategy (rest/store.ts), without storage. It keeps the
// reservations of the objects it was given, so that tests see clashes and leaks.
import type { KubeObject } from '#api/object.ts'
import { parseCidr } from '#net/ip.ts'
import type { FieldError, Reservation, ServerSettings, Strategy, StrategyContext } from './strategy.ts'

export const settings: ServerSettings = {
  serviceCidr: parseCidr('10.96.0.0/12')!,
  clusterCidr: parseCidr('10.244.0.0/16')!,
  serviceNodePortRange: { from: 30000, to: 32767 },
}
export const now = '2026-11-21T12:00:00Z'

/** Carries the findings of a refused write, each as `field: message`. */
export class Refused extends Error {
  readonly errors: readonly string[]
  constructor(errors: readonly FieldError[]) {
    const texts = errors.map(error => `${error.field}: ${error.message}`)
    super(texts.join('\n'))
    this.errors = texts
  }
}

export class Machinery {
  /** Reservation key to the key of its holder. */
  readonly reservations = new Map<string, string>()
  readonly context: StrategyContext
  #uid = 0

  constructor(overrides: Partial<ServerSettings> = {}) {
    this.context = { settings: { ...settings, ...overrides }, user: 'test', now }
  }

  create<T extends KubeObject>(strategy: Strategy<T>, manifest: unknown): T {
    const draft = structuredClone(manifest) as T
    draft.metadata.uid ??= `00000000-0000-4000-8000-${String(++this.#uid).padStart(12, '0')}`
    draft.metadata.creationTimestamp ??= now
    if (strategy.resource.namespaced) draft.metadata.namespace ??= 'default'
    strategy.defaults?.(draft)
    strategy.prepareForCreate?.(draft, this.context)
    const held = this.#reserve(strategy, draft, undefined)
    this.#check(strategy.validate(draft, this.context))
    this.#hold(strategy, draft, held)
    return freeze(draft)
  }

  update<T extends KubeObject>(strategy: Strategy<T>, old: T, change: (draft: T) => void): T {
    const draft = structuredClone(old)
    change(draft)
    strategy.defaults?.(draft)
    strategy.prepareForUpdate?.(draft, old, this.context)
    const held = this.#reserve(strategy, draft, old)
    this.#check([...strategy.validate(draft, this.context), ...strategy.validateUpdate?.(draft, old, this.context) ?? []])
    this.#hold(strategy, draft, held)
    return freeze(draft)
  }

  delete<T extends KubeObject>(strategy: Strategy<T>, object: T): void {
    for (const { key } of this.#reserve(strategy, structuredClone(object), object)) this.reservations.delete(key)
  }

  #reserve<T extends KubeObject>(strategy: Strategy<T>, draft: T, old: T | undefined): Reservation[] {
    const { held, errors } = strategy.reserve?.(draft, old, this.context, this.reservations) ?? { held: [], errors: [] }
    this.#check(errors)
    this.#check(held.filter(({ key }) => (this.reservations.get(key) ?? this.#owner(draft)) !== this.#owner(draft)).map(({ taken }) => taken))
    return held
  }

  #hold<T extends KubeObject>(strategy: Strategy<T>, object: T, held: readonly Reservation[]): void {
    if (!strategy.reserve) return
    for (const [key, owner] of this.reservations) if (owner === this.#owner(object)) this.reservations.delete(key)
    for (const { key } of held) this.reservations.set(key, this.#owner(object))
  }

  #owner = ({ metadata }: KubeObject) => `${metadata.namespace}/${metadata.name}`
  #check(errors: readonly FieldError[]): void { if (errors.length > 0) throw new Refused(errors) }
}

/** What a create is refused with; nothing when it is accepted. */
export function refusals(strategy: Strategy<never>, manifest: unknown, machinery = new Machinery()): readonly string[] {
  try { machinery.create(strategy as unknown as Strategy, manifest) } catch (error) {
    if (error instanceof Refused) return error.errors
    throw error
  }
  return []
}

/** Objects are shared and frozen wherever the machinery hands them on. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(Object.freeze(value))) freeze(item)
  return value
}
