// PATCH: JSON patch, merge patch and strategic merge patch on a view of an object (itself, or its Scale).
import { StatusError } from '#lib/errors.ts'
import type { Content } from '../rest/metadata.ts'
import { badRequest, invalid } from '../rest/errors.ts'
import { jsonPatch, mergePatch, strategicMergePatch } from '../schema/patch.ts'
import { checkObject, contentType, fieldValidationOf, parseBody, type Kind, type Parsed } from './body.ts'
import type { Request } from './request.ts'

type Apply = (document: unknown, patch: unknown, kind: Kind) => unknown

const patches: Readonly<Record<string, Apply>> = {
  'application/json-patch+json': (document, patch) => jsonPatch(document, patch as never),
  'application/merge-patch+json': (document, patch) => mergePatch(document, patch as never),
  'application/strategic-merge-patch+json': (document, patch, kind) => strategicMergePatch(document as never, patch as never, packageAndKind(kind)),
}
const accepted = Object.keys(patches).join(', ')

const packageAndKind = ({ apiVersion, kind }: Kind) => {
  const [group, version] = apiVersion.split('/')
  return { packageName: version === undefined ? `core/${group}` : `${group!.split('.')[0]}/${version}`, kind }
}

/** The function that makes of an object what the request's patch makes of it; throws when the patch cannot be read. */
export function patchOf(request: Request, kind: Kind, warn: (text: string) => void): (document: object) => Content {
  const type = contentType(request)
  if (type === 'application/apply-patch+yaml' || type === 'application/apply-patch+cbor') {
    throw new StatusError(415, 'UnsupportedMediaType', `server-side apply (${type}) is not supported by this server - accepted media types include: ${accepted}`)
  }
  const apply = patches[type]
  if (!apply) throw new StatusError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format - accepted media types include: ${accepted}`)
  const parsed = parsePatch(request)
  const validation = fieldValidationOf(request.query)
  return document => {
    const value = apply(structuredClone(document), parsed.value, kind)
    return checkObject({ value, duplicates: parsed.duplicates }, kind, { validation, warn,
      refuse: text => invalid({ group: '', kind: '' }, '', [{ field: 'patch', reason: 'FieldValueInvalid', message: `Invalid value: ${shown(type, parsed.value, value)}: ${text}` }]) })
  }
}

function parsePatch(request: Request): Parsed {
  const parsed = parseBody({ ...request, headers: { ...request.headers, 'content-type': 'application/json' } })
  if (typeof parsed?.value !== 'object' || parsed.value === null) throw badRequest('error decoding patch: the body must be a JSON patch document')
  return parsed
}

// Upstream prints the patch itself as a Go map for a strategic merge, the patched object else.
const shown = (type: string, patch: unknown, patched: unknown): string =>
  type.includes('strategic') ? JSON.stringify(goText(patch)) : JSON.stringify(JSON.stringify(patched))

/** fmt's %+v of decoded JSON. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value !== 'object' || value === null) return value === null ? '<nil>' : String(value)
  return `map[${Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, item]) => `${key}:${goText(item)}`).join(' ')}]`
}
