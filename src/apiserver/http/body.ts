// Reading the object in a request's body: JSON, YAML or protobuf, checked against the kind's fields as
// fieldValidation asks.
import { groupVersion, type Resource } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import { parseYaml } from '#lib/yaml.ts'
import { badRequest } from '../rest/errors.ts'
import type { Content } from '../rest/metadata.ts'
import { decodeProtobuf } from '../schema/protobuf.ts'
import { checkFields, parseJson } from '../schema/strict.ts'
import type { Request } from './request.ts'

export type Kind = { readonly apiVersion: string; readonly kind: string }
export interface Parsed { readonly value: unknown; readonly duplicates: readonly string[] }
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

export const kindOf = (resource: Resource): Kind => ({ apiVersion: groupVersion(resource), kind: resource.kind })

export const contentType = (request: Request): string => (request.headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase()

/** The body as plain data, whatever its encoding; undefined when it is empty. */
export function parseBody(request: Request): Parsed | undefined {
  const { body } = request
  if (!body) return undefined
  if (!(body instanceof Uint8Array)) return { value: body.value, duplicates: [] }
  if (body.length === 0) return undefined
  try {
    switch (contentType(request)) {
      case 'application/json': return parseJson(decodeUtf8(body))
      case 'application/yaml': return { value: parseYaml(decodeUtf8(body), 'body'), duplicates: [] }
      case 'application/vnd.kubernetes.protobuf': return { value: decodeProtobuf(body).object, duplicates: [] }
    }
  } catch (error) {
    if (error instanceof StatusError) throw error
    throw badRequest(`the body of the request could not be decoded: ${(error as Error).message}`)
  }
  throw new StatusError(415, 'UnsupportedMediaType',
    'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const decodeUtf8 = (bytes: Uint8Array): string => utf8.decode(bytes)

export function fieldValidationOf(query: URLSearchParams): FieldValidation {
  const asked = query.get('fieldValidation') || 'Warn'
  if (asked === 'Ignore' || asked === 'Warn' || asked === 'Strict') return asked
  throw badRequest(`fieldValidation: Unsupported value: ${JSON.stringify(asked)}: supported values: "Ignore", "Strict", "Warn"`)
}

/** The object of a POST or PUT; the caller owns it. Unknown fields are dropped, warned of or refused. */
export function decodeObject(request: Request, expected: Kind, warn: (text: string) => void): Content {
  const parsed = parseBody(request)
  if (!parsed) throw badRequest(`${expected.kind} in version "${versionOf(expected)}" cannot be handled as a ${expected.kind}: EOF`)
  checkKind(parsed.value, expected)
  return checkObject(parsed, expected, { validation: fieldValidationOf(request.query), warn,
    refuse: text => badRequest(`${expected.kind} in version "${versionOf(expected)}" cannot be handled as a ${expected.kind}: ${text}`) })
}

const versionOf = ({ apiVersion }: Kind): string => apiVersion.slice(apiVersion.indexOf('/') + 1)

interface Check {
  readonly validation: FieldValidation
  readonly warn: (text: string) => void
  readonly refuse: (text: string) => StatusError
}

/** Upstream's decoding of a typed object: wrong types are refused, unknown fields treated as asked. */
export function checkObject({ value, duplicates }: Parsed, { apiVersion, kind }: Kind, { validation, warn, refuse }: Check): Content {
  const { object, unknown, errors } = checkFields(value, { packageName: packageOf(apiVersion), kind })
  if (errors.length > 0) throw refuse(errors[0]!)
  const strict = [...duplicates, ...unknown]
  if (strict.length > 0 && validation === 'Strict') throw refuse(`strict decoding error: ${strict.join(', ')}`)
  if (validation === 'Warn') for (const text of strict) warn(text)
  const content = object as unknown as Content
  content.apiVersion = apiVersion
  content.kind = kind
  content.metadata ??= {} as Content['metadata']
  return content
}

const packageOf = (apiVersion: string): string => {
  const [group, version] = apiVersion.split('/')
  return version === undefined ? `core/${group}` : `${group!.split('.')[0]}/${version}`
}

function checkKind(value: unknown, expected: Kind): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest(`couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`)
  }
  const { apiVersion, kind } = value as Partial<Kind>
  if (kind && kind !== expected.kind) {
    throw badRequest(`${kind} in version "${(apiVersion ?? expected.apiVersion).split('/').at(-1)}" cannot be handled as a ${expected.kind}: the kind in the data (${kind}) does not match the expected kind (${expected.kind})`)
  }
  if (apiVersion && apiVersion !== expected.apiVersion) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${expected.apiVersion})`)
  }
}
