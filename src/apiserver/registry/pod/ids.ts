// User and group numbers, of a pod and of its containers alike.
import { invalid } from '../fields.ts'
import type { FieldError } from '../strategy.ts'

export const validateId = (path: string, value: number | undefined): FieldError[] =>
  value !== undefined && (value < 0 || value > 2 ** 31 - 1) ? [invalid(path, value, 'must be between 0 and 2147483647, inclusive')] : []
