// The two errors that cross folder borders. Everything else that goes wrong is a bug (a plain
// Error, never caught) or an absence (`undefined`).

/** Kubernetes's own answer to a request that failed: the body of every non-2xx response. */
export interface Status {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Failure' | 'Success'
  message: string
  reason?: string
  details?: { name?: string; group?: string; kind?: string; uid?: string; causes?: StatusCause[]; retryAfterSeconds?: number }
  code: number
}
export interface StatusCause { reason?: string; message?: string; field?: string }

/** Thrown by the API server's machinery and by every client of it; carries the Status as sent. */
export class StatusError extends Error {
  readonly status: Status
  constructor(code: number, reason: string, message: string, details?: Status['details']) {
    super(message)
    this.name = 'StatusError'
    this.status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code,
      ...(details && { details }) }
  }
  static from(status: Status): StatusError {
    const error = new StatusError(status.code, status.reason ?? 'Unknown', status.message, status.details)
    Object.assign(error.status, status)
    return error
  }
}

const hasReason = (reason: string) => (error: unknown): error is StatusError =>
  error instanceof StatusError && error.status.reason === reason

export const isNotFound = hasReason('NotFound')
export const isAlreadyExists = hasReason('AlreadyExists')
export const isConflict = hasReason('Conflict')
export const isInvalid = hasReason('Invalid')
export const isExpired = hasReason('Expired')
export const isForbidden = hasReason('Forbidden')

/** A program that Fairway ran ended with a status other than 0. */
export class CommandError extends Error {
  readonly argv: readonly string[]
  /** The exit status; 128 + signal number when a signal ended it, 127 when it was not found. */
  readonly exitCode: number
  readonly stderr: string
  constructor(argv: readonly string[], exitCode: number, stderr: string) {
    super(`${argv.join(' ')}: exit status ${exitCode}${stderr ? `: ${stderr.trim()}` : ''}`)
    this.name = 'CommandError'
    this.argv = argv
    this.exitCode = exitCode
    this.stderr = stderr
  }
}

/** What a person did wrong (a flag, a file, a missing tool): main.ts prints the message alone and exits 1. */
export class UserError extends Error {}
