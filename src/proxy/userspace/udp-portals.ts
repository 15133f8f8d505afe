// Where UDP clients may send to, and which of our sockets may answer each: what conntrack must agree with.
import type { UdpTargets } from '../conntrack.ts'
import type { ProxiedPort } from '../state.ts'
import { portals } from './portals.ts'

const socket = (ip: string, port: number) => ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

export function udpPortals(ports: readonly ProxiedPort[], { hostIP, numberOf }: { hostIP: string; numberOf: (portalKey: string) => number | undefined }): UdpTargets {
  const targets = new Map<string, ReadonlySet<string>>()
  for (const port of ports) {
    if (port.protocol !== 'UDP') continue
    const numbers = portals(port).map(({ key }) => numberOf(key)).filter(number => number !== undefined)
    const answerers = new Set(numbers.map(number => socket(hostIP, number)))
    for (const ip of [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs]) targets.set(socket(ip, port.port), answerers)
    if (port.nodePort) targets.set(`:${port.nodePort}`, answerers)
  }
  return targets
}
