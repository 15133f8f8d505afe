// The fixed words that agnhost's connect prints for each way in which a connection fails. Pure.

/** `host:port` or `[v6]:port`; undefined when it is neither. */
export function splitHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  return match && port <= 65535 ? { host: match[1] ?? match[2]!, port } : undefined
}

export interface Failure { readonly code?: string | undefined; readonly message: string }

/** One line for stderr. */
export function outcome(protocol: 'tcp' | 'udp', { code, message }: Failure): string {
  const detail = protocol === 'udp' ? `: ${message}` : ''
  switch (code) {
    case 'TIMEOUT': case 'ETIMEDOUT': return `TIMEOUT${detail}`
    case 'ECONNREFUSED': return `REFUSED${detail}`
    case 'ENOTFOUND': case 'EAI_AGAIN': case 'EAI_FAIL': case 'EAI_NODATA': return `DNS: ${message}`
    default: return `${protocol === 'udp' ? 'UNKNOWN' : 'OTHER'}: ${message}`
  }
}
