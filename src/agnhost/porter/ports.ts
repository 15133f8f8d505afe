// Which ports porter serves, from its environment. Pure.

export interface Port { readonly protocol: 'tcp' | 'udp' | 'tls' | 'sctp'; readonly port: number; readonly value: string }

/** SERVE_PORT_N and SERVE_TCP_PORT_N, SERVE_UDP_PORT_N, SERVE_TLS_PORT_N, SERVE_SCTP_PORT_N; `invalid` holds names whose N is no port. */
export function portsOf(environment: Readonly<Record<string, string | undefined>>): { ports: Port[]; invalid: string[] } {
  const ports: Port[] = [], invalid: string[] = []
  for (const [name, value = ''] of Object.entries(environment)) {
    const match = /^SERVE_(?:(TCP|UDP|TLS|SCTP)_)?PORT_(.*)$/.exec(name)
    if (!match) continue
    const port = Number(match[2])
    if (!/^\d{1,5}$/.test(match[2]!) || port < 1 || port > 65535) invalid.push(name)
    else ports.push({ protocol: (match[1]?.toLowerCase() ?? 'tcp') as Port['protocol'], port, value })
  }
  return { ports, invalid }
}
