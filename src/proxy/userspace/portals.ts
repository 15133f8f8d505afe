// Which proxy sockets a Service port needs. One for each set of endpoints that traffic may be given:
// a socket cannot see which address its client called, so the rules tell by the socket.
import type { Endpoint } from '../endpoints.ts'
import { usesClusterEndpoints, usesLocalEndpoints } from '../services.ts'
import type { ProxiedPort } from '../state.ts'

export interface Portal {
  /** The same for the same socket in every sync: `namespace/name:port/TCP`, with `/local` for the Local policy. */
  readonly key: string
  /** Of the Service port, which its portals share. */
  readonly port: ProxiedPort
  readonly protocol: 'TCP' | 'UDP'
  readonly local: boolean
  readonly endpoints: readonly Endpoint[]
}

export const affinityKey = (port: ProxiedPort): string => `${port.id}/${port.protocol}`
export const portalKey = (port: ProxiedPort, local: boolean): string => `${affinityKey(port)}${local ? '/local' : ''}`

/** Node has no SCTP sockets. */
export const isProxiable = (port: ProxiedPort): boolean => port.protocol !== 'SCTP'

/** There is a portal while the port may need it, with endpoints or without: it keeps its number that way. */
export function portals(port: ProxiedPort): Portal[] {
  if (!isProxiable(port)) return []
  const portal = (local: boolean): Portal => ({
    key: portalKey(port, local), port, protocol: port.protocol as 'TCP' | 'UDP', local, endpoints: local ? port.local : port.cluster })
  return [...usesClusterEndpoints(port) ? [portal(false)] : [], ...usesLocalEndpoints(port) ? [portal(true)] : []]
}
