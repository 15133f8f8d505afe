// Which cluster IP and node ports a Service gets (pkg/registry/core/service/storage/alloc.go). Choosing
// is pure: what is taken comes in, what the Service holds goes out, and the machinery writes that in the
// Service's own transaction. A choice looks random, so that two servers seldom want the same value, and
// is repeatable: it starts from a hash of the Service's identity.
import type { Service, ServicePort } from '#api/core/v1.ts'
import { at as addressAt, contains, formatCidr, formatIp, parseIp, size } from '#net/ip.ts'
import type { Cidr } from '#net/ip.ts'
import { formatPortRange } from '#net/ports.ts'
import type { PortRange } from '#net/ports.ts'
import { internal, invalid } from '../fields.ts'
import type { FieldError, Reservation, Reservations, ServerSettings, StrategyContext } from '../strategy.ts'
import { initFamilies } from './families.ts'
import { mayHoldNodePorts, needsClusterIP, needsHealthCheck, needsNodePort, none } from './needs.ts'

interface Allocation { held: Reservation[]; errors: FieldError[] }
/** `free`: held by no object, this one's old version included: its values are released only when all is written. */
interface Pool { free(key: string): boolean }

const ipKey = (ip: string) => `clusterips/${ip}`
const portKey = (port: number) => `nodeports/${port}`
const ipTaken = 'provided IP is already allocated'
const portTaken = 'provided port is already allocated'
const rangeFull = 'range is full'

export function reserve(draft: Service, old: Service | undefined, { settings }: StrategyContext, taken: Reservations): Allocation {
  const own = new Set(old ? heldBy(old).map(({ key }) => key) : [])
  const pool: Pool = { free: key => !own.has(key) && !taken.has(key) }
  // In upstream's order; the first that fails is reported alone.
  for (const step of [initFamilies, allocateClusterIPs, allocateNodePorts, allocateHealthCheckPort]) {
    const errors = step(draft, old, settings, pool)
    if (errors.length > 0) return { held: [], errors }
  }
  return { held: heldBy(old && needsClusterIP(old) ? { ...draft, spec: { ...draft.spec, ...keptIPs(old) } } : draft), errors: [] }
}

// A changed cluster IP is not reserved: validateUpdate refuses it with its own words.
const keptIPs = ({ spec: { clusterIPs } }: Service) => clusterIPs && { clusterIPs }

/** All that a Service holds, each with what to say if another turns out to hold it. */
function heldBy(service: Service): Reservation[] {
  const { spec } = service
  const ips = needsClusterIP(service) ? (spec.clusterIPs ?? []).filter(ip => ip !== none && parseIp(ip)) : []
  const ports = mayHoldNodePorts(service) ? (spec.ports ?? []).map((port, index) => ({ port: port.nodePort ?? 0, field: nodePortField(index) })) : []
  if (needsHealthCheck(service)) ports.push({ port: spec.healthCheckNodePort ?? 0, field: 'spec.healthCheckNodePort' })
  const held = new Map<string, Reservation>()
  for (const ip of ips) held.set(ipKey(ip), { key: ipKey(ip), taken: ipError(spec.clusterIPs, ip, ipTaken) })
  for (const { port, field } of ports) {
    const key = portKey(port)
    if (port !== 0 && !held.has(key)) held.set(key, { key, taken: invalid(field, port, portTaken) })
  }
  return [...held.values()]
}

const nodePortField = (index: number) => `spec.ports[${index}].nodePort`
const ipError = (all: readonly string[] | undefined, ip: string, why: string) => invalid('spec.clusterIPs', all, `failed to allocate IP ${ip}: ${why}`)

function allocateClusterIPs(draft: Service, old: Service | undefined, { serviceCidr }: ServerSettings, pool: Pool): FieldError[] {
  const { spec } = draft
  // Once set it stays; a change is refused by validateUpdate.
  if (!needsClusterIP(draft) || (old && needsClusterIP(old)) || spec.clusterIP === none) return []
  const requested = spec.clusterIPs?.[0]
  if (requested) {
    const why = requestedIpError(requested, serviceCidr, pool)
    return why ? [ipError(spec.clusterIPs, requested, why)] : []
  }
  const chosen = chooseIp(draft, serviceCidr, pool)
  if (!chosen) return [internal('spec.clusterIPs', `failed to allocate a serviceIP: ${rangeFull}`)]
  spec.clusterIP = chosen
  spec.clusterIPs = [chosen]
  return []
}

/** First and last offset that a Service may have: neither the network's address nor IPv4's broadcast. */
const usable = (cidr: Cidr) => ({ first: 1n, last: size(cidr) - (cidr.base.family === 4 ? 2n : 1n) })

function requestedIpError(text: string, cidr: Cidr, pool: Pool): string | undefined {
  const ip = parseIp(text)!
  const { first, last } = usable(cidr)
  const offset = ip.value - cidr.base.value
  if (!contains(cidr, ip) || offset < first || offset > last)
    return `the provided IP (${text}) is not in the valid range. The range of valid IPs is ${formatCidr(cidr)}`
  return pool.free(ipKey(formatIp(ip))) ? undefined : ipTaken
}

/** KEP-3070: the lower band is left to people, as long as the upper one has room. */
export function clusterIpBand(cidr: Cidr): number {
  const total = size(cidr)
  return total <= 16n ? 0 : Number(clamp(total / 16n, 16n, 256n))
}
/** KEP-3668, the same for node ports. */
export function nodePortBand({ from, to }: PortRange): number {
  const total = BigInt(to - from + 1)
  return total <= 16n ? 0 : Number(clamp(total / 32n, 16n, 128n))
}
const clamp = (value: bigint, low: bigint, high: bigint) => value < low ? low : value > high ? high : value

function chooseIp(service: Service, cidr: Cidr, pool: Pool): string | undefined {
  const { first, last } = usable(cidr)
  const band = first + BigInt(clusterIpBand(cidr))
  const ipAt = (offset: bigint) => formatIp(addressAt(cidr, offset))
  const offset = choose([[band, last], [first, band - 1n]], seedOf(service, 'clusterip'), candidate => pool.free(ipKey(ipAt(candidate))))
  return offset === undefined ? undefined : ipAt(offset)
}

function choosePort(service: Service, range: PortRange, free: (port: number) => boolean, purpose: string): number | undefined {
  const from = BigInt(range.from), to = BigInt(range.to), band = from + BigInt(nodePortBand(range))
  const port = choose([[band, to], [from, band - 1n]], seedOf(service, purpose), candidate => free(Number(candidate)))
  return port === undefined ? undefined : Number(port)
}

/** The first free value of the first band that has one, searched from where the seed points, around. */
function choose(bands: readonly (readonly [bigint, bigint])[], seed: bigint, free: (value: bigint) => boolean): bigint | undefined {
  for (const [first, last] of bands) {
    const length = last - first + 1n
    for (let tried = 0n; tried < length; tried++) {
      const value = first + (seed + tried) % length
      if (free(value)) return value
    }
  }
  return undefined
}

const seedOf = ({ metadata }: Service, purpose: string) => fnv1a(`${metadata.uid ?? ''}/${metadata.namespace ?? ''}/${metadata.name}/${purpose}`)

function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  // FNV's low bits mix poorly between texts that differ only in their last letters.
  return hash ^ (hash >> 32n)
}

const portError = (port: number, range: PortRange, free: boolean) =>
  port < range.from || port > range.to ? `provided port is not in the valid range. The range of valid ports is ${formatPortRange(range)}`
    : free ? undefined : portTaken

function allocateNodePorts(draft: Service, old: Service | undefined, { serviceNodePortRange: range }: ServerSettings, pool: Pool): FieldError[] {
  if (!mayHoldNodePorts(draft)) return []
  const ports = draft.spec.ports ?? []
  const before = new Set(old && mayHoldNodePorts(old) ? (old.spec.ports ?? []).map(port => port.nodePort) : [])
  const mine = new Set<number>()
  for (const [index, port] of ports.entries()) {
    if (!port.nodePort && !needsNodePort(draft)) continue
    // TCP and UDP of one port number share one node port (initNodePorts); updates choose for each.
    const wanted = port.nodePort || (old ? 0 : sharedPort(port, ports))
    if (wanted && !mine.has(wanted) && !before.has(wanted)) {
      const why = portError(wanted, range, pool.free(portKey(wanted)))
      if (why) return [invalid(nodePortField(index), wanted, why)]
    }
    const chosen = wanted || choosePort(draft, range, candidate => !mine.has(candidate) && pool.free(portKey(candidate)), `nodeport/${index}`)
    if (!chosen) return [internal(nodePortField(index), `failed to allocate a nodePort: ${rangeFull}`)]
    port.nodePort = chosen
    mine.add(chosen)
  }
  return []
}

const sharedPort = (port: ServicePort, ports: readonly ServicePort[]): number =>
  ports.find(other => other !== port && other.port === port.port && other.nodePort)?.nodePort ?? 0

function allocateHealthCheckPort(draft: Service, old: Service | undefined, { serviceNodePortRange: range }: ServerSettings, pool: Pool): FieldError[] {
  if (!needsHealthCheck(draft) || (old && needsHealthCheck(old))) return []
  const { spec } = draft
  const others = new Set((spec.ports ?? []).map(port => port.nodePort ?? 0))
  const free = (port: number) => !others.has(port) && pool.free(portKey(port))
  if (spec.healthCheckNodePort) {
    const why = portError(spec.healthCheckNodePort, range, free(spec.healthCheckNodePort))
    return why ? [internal('spec.healthCheckNodePort', `failed to allocate requested HealthCheck NodePort ${spec.healthCheckNodePort}: ${why}`)] : []
  }
  const chosen = choosePort(draft, range, free, 'healthcheck')
  if (!chosen) return [internal('spec.healthCheckNodePort', `failed to allocate a HealthCheck NodePort: ${rangeFull}`)]
  spec.healthCheckNodePort = chosen
  return []
}
