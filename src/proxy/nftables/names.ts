// The table of the nftables mode: its name, its sets and maps with their types, and the names of the
// chains and sets that belong to one Service port (upstream's, hash and all).
import { hash } from 'node:crypto'
import type { Family } from '#net/ip.ts'
import type { Endpoint } from '../endpoints.ts'
import type { ProxiedPort } from '../state.ts'

export const tableName = 'kube-proxy'
/** Says which layout a table has: one of another layout (an older version's, upstream's kube-proxy's) is replaced whole. */
export const tableComment = 'rules for kube-proxy (flat maps, layout 1)'
export const nftFamily = (family: Family): 'ip' | 'ip6' => family === 4 ? 'ip' : 'ip6'

export type Field = 'address' | 'proto' | 'port' | 'number' | 'range'
export interface SetDeclaration {
  readonly kind: 'set' | 'map'
  readonly name: string
  /** `type ...` or `typeof ...`. */
  readonly type: string
  /** The parts of a key, and what a map leads to: as netlink encodes them. */
  readonly fields: readonly Field[]
  readonly data?: 'verdict' | 'socket'
  readonly flags?: string
  /** Most elements that a dynamic set takes. */
  readonly size?: number
}

/** Every set and map that is always there. A verdict map leads to a chain; the endpoints of an address are numbered from 0. */
export function setDeclarations(family: Family): readonly SetDeclaration[] { return declarations[family] }

const declarations: Record<Family, readonly SetDeclaration[]> = { 4: declare(4), 6: declare(6) }

function declare(family: Family): readonly SetDeclaration[] {
  const ip = nftFamily(family), address = family === 4 ? 'ipv4_addr' : 'ipv6_addr'
  const types: Record<Field, string> = { address, proto: 'inet_proto', port: 'inet_service', number: '', range: address }
  const type = (fields: readonly Field[]) => `type ${fields.map(field => types[field]).join(' . ')}`
  const socket: readonly Field[] = ['address', 'proto', 'port'], nodePort: readonly Field[] = ['proto', 'port']
  const verdicts = (name: string, fields: readonly Field[]): SetDeclaration => ({ kind: 'map', name, type: `${type(fields)} : verdict`, fields, data: 'verdict' })
  const endpoints = (name: string, fields: readonly Field[]): SetDeclaration => ({ kind: 'map', name, fields: [...fields, 'number'], data: 'socket',
    type: `typeof ${fields === socket ? `${ip} daddr . ` : ''}meta l4proto . th dport . numgen random mod 65535 : ${ip} daddr . th dport` })
  const set = (name: string, fields: readonly Field[], flags?: string): SetDeclaration => ({ kind: 'set', name, type: type(fields), fields, ...flags && { flags } })
  return [
    verdicts('service-ips', socket), verdicts('service-nodeports', nodePort),
    endpoints('endpoints', socket), endpoints('local-endpoints', socket),
    endpoints('nodeport-endpoints', nodePort), endpoints('nodeport-local-endpoints', nodePort),
    verdicts('no-endpoint-services', socket), verdicts('no-endpoint-nodeports', nodePort),
    set('firewall-ips', socket), set('firewall-sources', [...socket, 'range'], 'interval'),
    set('hairpin-connections', ['address', 'address']), set('cluster-ips', ['address']), set('nodeport-ips', ['address']),
  ]
}

/** The clients of one endpoint, each for as long as the Service's affinity lasts. */
export const affinitySet = (name: string, family: Family): SetDeclaration =>
  ({ kind: 'set', name, type: `type ${family === 4 ? 'ipv4_addr' : 'ipv6_addr'}`, fields: ['address'], flags: 'dynamic,timeout', size: 65535 })

type Prefix = 'service' | 'local' | 'external' | 'endpoint' | 'affinity'

/** `service-ULMVA6XW-ns1/svc1/tcp/p80`; of one endpoint `endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80`. */
export function portName(prefix: Prefix, port: ProxiedPort, endpoint?: Endpoint): string {
  // nft takes no colon in a name.
  const name = `${port.service}/${port.protocol.toLowerCase()}/${port.portName}${endpoint ? `__${endpoint.ip.replaceAll(':', '.')}/${endpoint.port}` : ''}`
  return `${prefix}-${hashed(name)}-${name}`
}

/** The first eight characters of the hash in base 32 (RFC 4648): five bytes. */
function hashed(name: string): string {
  let value = 0n
  for (const byte of hash('sha256', name, 'buffer').subarray(0, 5)) value = value << 8n | BigInt(byte)
  return Array.from({ length: 8 }, (_, i) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number(value >> BigInt(35 - 5 * i) & 31n)]).join('')
}
