// Which conntrack entries of UDP Services lead nowhere and must go: UDP has no end of connection, so
// a flow would keep its removed endpoint for as long as the client sends (kubernetes#126130).
import { formatIp, parseIp } from '#net/ip.ts'
import type { ProxiedPort } from './state.ts'

/** One tracked flow: what the client sent to, and who answers. */
export interface Flow {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly replySource: string
  readonly replySourcePort: number
}

/** Reads the lines of `conntrack -L -p udp`. */
export function parseFlows(text: string): Flow[] {
  return text.split('\n').flatMap(line => {
    const field = (name: string) => [...line.matchAll(new RegExp(`\\b${name}=(\\S+)`, 'g'))].map(match => match[1]!)
    const [source, replySource] = field('src'), [destination] = field('dst'), [sourcePort, replySourcePort] = field('sport'), [destinationPort] = field('dport')
    if (!source || !replySource || !destination || !sourcePort || !replySourcePort || !destinationPort) return []
    return [{ source: canonical(source), sourcePort: Number(sourcePort), destination: canonical(destination), destinationPort: Number(destinationPort),
      replySource: canonical(replySource), replySourcePort: Number(replySourcePort) }]
  })
}
const canonical = (text: string) => { const ip = parseIp(text); return ip ? formatIp(ip) : text }

/** Where UDP packets may be sent to, and which endpoints may answer each: `ip:port` and node ports to `ip:port`s. */
export type UdpTargets = ReadonlyMap<string, ReadonlySet<string>>

const nodePortKey = (port: number) => `:${port}`

/** `previous` adds what is served no more: its flows have no valid answer left (kubernetes#141371). */
export function udpTargets(ports: readonly ProxiedPort[], previous: UdpTargets = new Map()): UdpTargets {
  const targets = new Map<string, Set<string>>()
  for (const key of previous.keys()) targets.set(key, new Set())
  for (const port of ports) {
    if (port.protocol !== 'UDP') continue
    const endpoints = new Set(port.reachable.map(endpoint => endpoint.address))
    for (const ip of [port.clusterIP, ...port.externalIPs, ...port.loadBalancerIPs]) targets.set(socket(ip, port.port), endpoints)
    if (port.nodePort) targets.set(nodePortKey(port.nodePort), endpoints)
  }
  return targets
}

/** Flows to a Service whose answers come from none of its endpoints. `nodeAddresses` are where node ports are served. */
export function staleFlows(flows: readonly Flow[], targets: UdpTargets, nodeAddresses: ReadonlySet<string>): Flow[] {
  return flows.filter(flow => {
    const endpoints = targets.get(socket(flow.destination, flow.destinationPort))
      ?? (nodeAddresses.has(flow.destination) ? targets.get(nodePortKey(flow.destinationPort)) : undefined)
    return endpoints !== undefined && !endpoints.has(socket(flow.replySource, flow.replySourcePort))
  })
}

const socket = (ip: string, port: number) => ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
