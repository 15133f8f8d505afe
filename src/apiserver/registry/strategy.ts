// What the API server must know of one kind to serve it: upstream's rest strategies as values. The
// generic machinery (verbs, storage, patch, watch) calls these and knows nothing of any kind; a kind
// knows nothing of HTTP or storage. Pure: effects that a kind needs are declared as reservations,
// which the machinery writes in the same transaction as the object.
import type { KubeObject } from '#api/object.ts'
import type { Resource } from '#api/resources.ts'
import type { StatusCause } from '#lib/errors.ts'

/** One finding of validation: upstream's field.Error. The machinery makes the 422 Status of them. */
export interface FieldError {
  /** `spec.ports[0].nodePort` */
  readonly field: string
  readonly reason: 'FieldValueRequired' | 'FieldValueInvalid' | 'FieldValueNotSupported' | 'FieldValueDuplicate' | 'FieldValueForbidden' | 'FieldValueTooLong' | 'FieldValueTooMany' | 'FieldValueNotFound' | 'FieldValueTypeInvalid' | 'InternalError'
  /** Without the field: `Invalid value: 8080: provided port is not in the valid range...` */
  readonly message: string
}
export const causeOf = (error: FieldError): StatusCause => ({ reason: error.reason, message: error.message, field: error.field })

/** Cluster settings that validation and defaulting read. Frozen; parsed at the edge. */
export interface ServerSettings {
  readonly serviceCidr: import('#net/ip.ts').Cidr
  readonly serviceNodePortRange: import('#net/ports.ts').PortRange
  readonly clusterCidr: import('#net/ip.ts').Cidr
}

export interface StrategyContext {
  readonly settings: ServerSettings
  readonly user: string
  /** RFC 3339, whole seconds. */
  readonly now: string
}

/**
 * A name that only one object may hold (a cluster IP, a node port). Written with the object in one
 * storage transaction and released with it, so that no crash and no second server can hand one out twice.
 */
export interface Reservation {
  /** Below `/reservations/`: `clusterips/10.96.0.10`, `nodeports/30007` (one number for all protocols, as upstream). */
  readonly key: string
  /** The finding to report when another object holds it. */
  readonly taken: FieldError
}

/**
 * Reads what is reserved now, so that a strategy can choose a free one. It may include what the object's
 * old version holds: `reserve` is given `old` and knows those for its own.
 */
export interface Reservations { has(key: string): boolean }

export interface Column<T> {
  readonly name: string
  readonly description?: string
  readonly type?: 'string' | 'integer' | 'date'
  readonly format?: 'name' | ''
  /** Only with `-o wide`. */
  readonly wide?: boolean
  /** `now` in milliseconds: ages are shown as `5m`. */
  value(object: T, now: number): string | number
}

/**
 * The machinery's order, which is upstream's (Store.Create: BeginCreate comes before BeforeCreate):
 * `defaults`, `prepareForCreate|Update`, `reserve` (its errors end the request alone, so that an impossible
 * node port is reported before any other fault), then `validate` and, on update, `validateUpdate` as well.
 * metadata.uid, creationTimestamp and a generated name are set before `prepareForCreate`.
 */
export interface Strategy<T extends KubeObject = KubeObject> {
  readonly resource: Resource
  /** A warning that every request for this resource gets, reads included (Endpoints since 1.33). */
  readonly deprecation?: string
  /** Fills in defaults of spec (and of status where upstream does), on create and update alike. Mutates the draft. */
  defaults?(draft: T): void
  /** Drops what a client may not set on create (status) and sets initial values (generation is the machinery's). */
  prepareForCreate?(draft: T, context: StrategyContext): void
  /** Keeps what an update of the main resource may not change (status, ...). */
  prepareForUpdate?(draft: T, old: T, context: StrategyContext): void
  validate(object: T, context: StrategyContext): FieldError[]
  validateUpdate?(object: T, old: T, context: StrategyContext): FieldError[]
  /** For `/status`: by default everything but status and metadata's finalizers is kept from `old`. */
  validateStatusUpdate?(object: T, old: T, context: StrategyContext): FieldError[]
  /** Headers `Warning: 299`. */
  warnings?(object: T, old: T | undefined): string[]
  /**
   * Chooses values that must be unique, into the draft (a free cluster IP, node ports), and returns all
   * that the object holds; what `old` held besides is to be released. Called with `old` equal to the draft it
   * chooses nothing and returns what the object holds (for a delete). Throws nothing: what cannot be had is returned as `errors`. May be called again
   * with fresh reservations when another writer was faster.
   */
  reserve?(draft: T, old: T | undefined, context: StrategyContext, taken: Reservations): { held: Reservation[]; errors: FieldError[] }
  /** Fields besides metadata.name and metadata.namespace that field selectors may name. */
  selectableFields?(object: T): Record<string, string>
  /**
   * Without Name first and Age before the wide ones, which table.ts adds; columns that include an age of
   * their own (Age, Last Seen, Created At) are taken in the order given.
   */
  readonly columns?: readonly Column<T>[]
  /** Seconds of grace that a delete of this object gets when the client names none (pods); undefined deletes at once. */
  gracePeriodSeconds?(object: T): number | undefined
  /** Deployment and ReplicaSet: how `/scale` reads and writes. */
  readonly scale?: {
    get(object: T): { replicas: number; statusReplicas: number; selector: string }
    set(draft: T, replicas: number): void
  }
}
