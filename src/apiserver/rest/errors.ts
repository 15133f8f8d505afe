// The API's refusals in upstream's words (k8s.io/apimachinery/pkg/api/errors), as StatusErrors to throw.
import type { Resource } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import { causeOf, type FieldError } from '../registry/strategy.ts'

type Named = Pick<Resource, 'group' | 'plural'>
const details = ({ group, plural }: Named, name: string) => ({ ...(name && { name }), ...(group && { group }), kind: plural })

/** `deployments.apps`: GroupResource.String(). */
export const qualified = ({ group, plural }: Named): string => group ? `${plural}.${group}` : plural

export const notFound = (resource: Named, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, details(resource, name))

export const alreadyExists = (resource: Named, name: string): StatusError =>
  new StatusError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, details(resource, name))

export const conflict = (resource: Named, name: string, why: string): StatusError =>
  new StatusError(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`, details(resource, name))

export const modified = (resource: Named, name: string): StatusError =>
  conflict(resource, name, 'the object has been modified; please apply your changes to the latest version and try again')

export const forbidden = (resource: Named, name: string, why: string): StatusError =>
  new StatusError(403, 'Forbidden', name === '' ? `${qualified(resource)} is forbidden: ${why}` : `${qualified(resource)} "${name}" is forbidden: ${why}`,
    details(resource, name))

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message)

export const methodNotSupported = (resource: Named, verb: string): StatusError =>
  new StatusError(405, 'MethodNotAllowed', `${verb} is not supported on resources of kind "${qualified(resource)}"`, details(resource, ''))

export const expired = (message: string): StatusError => new StatusError(410, 'Expired', message)

export const internal = (message: string): StatusError => new StatusError(500, 'InternalError', `Internal error occurred: ${message}`)

/** NewTooLargeResourceVersionError of apiserver/pkg/storage. */
export const tooLargeResourceVersion = (asked: number, current: number): StatusError =>
  new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`,
    { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 })

/** NewInvalid: the 422 answer that lists every finding. */
export function invalid(kind: Pick<Resource, 'group' | 'kind'>, name: string, errors: readonly FieldError[]): StatusError {
  const texts = [...new Set(errors.map(error => `${error.field}: ${error.message}`))]
  const list = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`
  const what = kind.group ? `${kind.kind}.${kind.group}` : kind.kind
  return new StatusError(422, 'Invalid', `${what} ${JSON.stringify(name)} is invalid: ${list}`,
    { ...(name && { name }), ...(kind.group && { group: kind.group }), ...(kind.kind && { kind: kind.kind }), causes: errors.map(causeOf) })
}
