// Builds a kind's strategy from what is its own: what all kinds share (metadata's rules, a status that
// only /status may write) is added here once.
import type { KubeObject } from '#api/object.ts'
import { validateMetadata, validateMetadataUpdate } from './metadata.ts'
import type { NameCheck } from './names.ts'
import type { Strategy } from './strategy.ts'

type Kind<T extends KubeObject> = Omit<Strategy<T>, 'validate'> & {
  /** The format of metadata.name. */
  readonly name: NameCheck
  /** A client may bring a status when it creates the object: a kubelet that registers its node. */
  readonly statusOnCreate?: true
  /** Findings besides those on metadata. */
  validate?: Strategy<T>['validate']
}
type WithStatus = { status?: unknown }
type WithSpec = { spec?: unknown }

/** `prepareForCreate` and `prepareForUpdate` of the kind run after status has been dropped or restored. */
export function define<T extends KubeObject>(kind: Kind<T>): Strategy<T> {
  const { name, statusOnCreate, defaults, validate, validateUpdate, prepareForCreate, prepareForUpdate, ...rest } = kind
  const hasStatus = kind.resource.subresources.includes('status')
  return {
    ...rest,
    defaults(draft) {
      // Go's spec is a struct: one that the manifest leaves out is empty, not absent.
      if (hasStatus) (draft as WithSpec).spec ??= {}
      defaults?.(draft)
    },
    prepareForCreate(draft, context) {
      if (hasStatus && !statusOnCreate) delete (draft as WithStatus).status
      prepareForCreate?.(draft, context)
    },
    prepareForUpdate(draft, old, context) {
      if (hasStatus) keepStatus(draft as WithStatus, old as WithStatus)
      prepareForUpdate?.(draft, old, context)
    },
    validate: (object, context) => [
      ...validateMetadata(object.metadata, { namespaced: kind.resource.namespaced, name }),
      ...validate?.(object, context) ?? [],
    ],
    validateUpdate: (object, old, context) => [
      ...validateMetadataUpdate(object, old),
      ...validateUpdate?.(object, old, context) ?? [],
    ],
  }
}

function keepStatus(draft: WithStatus, old: WithStatus): void {
  if (old.status === undefined) delete draft.status
  else draft.status = structuredClone(old.status)
}
