// Go's words for what goes wrong when a connection is made: tests compare them. Pure.

const reasons: Record<string, string> = {
  ECONNREFUSED: 'connection refused', EHOSTUNREACH: 'no route to host', ENETUNREACH: 'network is unreachable', ECONNRESET: 'connection reset by peer',
  EPIPE: 'broken pipe', ETIMEDOUT: 'connection timed out', EACCES: 'permission denied', EPERM: 'operation not permitted',
}

export interface Failure { readonly code?: string | undefined; readonly syscall?: string | undefined; readonly message: string }

/** A failed `GET url`; `waiting` says whether the connection stood. */
export function httpError(url: string, address: string, failure: Failure, waiting: boolean): string {
  const prefix = `Get ${JSON.stringify(url)}: `
  if (failure.code === 'TIMEOUT') {
    return prefix + (waiting ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : `dial tcp ${address}: i/o timeout (Client.Timeout exceeded while awaiting headers)`)
  }
  const reason = reasons[failure.code ?? '']
  if (failure.code === 'ECONNRESET' && failure.message === 'socket hang up') return `${prefix}EOF`
  if (!reason) return prefix + failure.message
  return waiting ? `${prefix}read tcp ${address}: read: ${reason}` : `${prefix}dial tcp ${address}: connect: ${reason}`
}

export const udpError = (address: string, failure: Failure): string =>
  `reading from udp connection failed. err:'read udp ${address}: ${failure.code === 'TIMEOUT' ? 'i/o timeout' : `read: ${reasons[failure.code ?? ''] ?? failure.message}`}'`
