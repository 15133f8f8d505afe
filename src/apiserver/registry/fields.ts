// The findings of validation, worded as apimachinery's field.Error words them: kubectl shows these
// texts to people, and programs match on them. Separate, so that no kind spells a message by hand.
import type { FieldError } from './strategy.ts'

/** Go's `%q` for strings, plain for numbers and booleans, JSON for the rest (field.Error.ErrorBody). */
const shown = (value: unknown): string =>
  value === undefined || value === null ? '"null"'
    : typeof value === 'number' || typeof value === 'boolean' ? String(value)
      : JSON.stringify(value)

const withDetail = (text: string, detail: string) => detail ? `${text}: ${detail}` : text

export const required = (field: string, detail = ''): FieldError =>
  ({ field, reason: 'FieldValueRequired', message: withDetail('Required value', detail) })

export const invalid = (field: string, value: unknown, detail: string): FieldError =>
  ({ field, reason: 'FieldValueInvalid', message: withDetail(`Invalid value: ${shown(value)}`, detail) })

export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  ({ field, reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${shown(value ?? '')}: supported values: ${supported.map(shown).join(', ')}` })

export const duplicate = (field: string, value: unknown): FieldError =>
  ({ field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown(value)}` })

export const forbidden = (field: string, detail: string): FieldError =>
  ({ field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` })

export const tooLong = (field: string, maximum: number): FieldError =>
  ({ field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maximum} bytes` })

export const tooMany = (field: string, actual: number, maximum: number): FieldError =>
  ({ field, reason: 'FieldValueTooMany', message: `Too many: ${actual}: must have at most ${maximum} items` })

export const notFound = (field: string, value: unknown): FieldError =>
  ({ field, reason: 'FieldValueNotFound', message: `Not found: ${shown(value)}` })

export const internal = (field: string, detail: string): FieldError =>
  ({ field, reason: 'InternalError', message: `Internal error: ${detail}` })

/** One finding for each message of a format check (names.ts). */
export const invalids = (field: string, value: unknown, messages: readonly string[]): FieldError[] =>
  messages.map(message => invalid(field, value, message))

export const immutable = 'field is immutable'
export const negative = 'must be greater than or equal to 0'

export const nonNegative = (field: string, value: number | undefined): FieldError[] =>
  value !== undefined && value < 0 ? [invalid(field, value, negative)] : []

export const oneOf = (field: string, value: string | undefined, supported: readonly string[]): FieldError[] =>
  value !== undefined && supported.includes(value) ? [] : [notSupported(field, value, supported)]

/** `spec.ports` and 1 give `spec.ports[1]`. */
export const at = (path: string, index: number | string): string => `${path}[${index}]`

/** Findings for every item of a list that may be absent. */
export const each = <T>(path: string, items: readonly T[] | undefined, check: (item: T, path: string, index: number) => FieldError[]): FieldError[] =>
  (items ?? []).flatMap((item, index) => check(item, at(path, index), index))

/** A finding for each item whose key an earlier one has. */
export function duplicates<T>(path: string, items: readonly T[] | undefined, key: (item: T) => string, child = ''): FieldError[] {
  const seen = new Set<string>()
  return each(path, items, (item, itemPath) => {
    const value = key(item)
    if (value === '') return []
    if (seen.has(value)) return [duplicate(itemPath + child, value)]
    seen.add(value)
    return []
  })
}
