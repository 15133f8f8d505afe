// Endpoints: the older form of EndpointSlices, deprecated since 1.33 and used by the walk-throughs.
import type { Endpoints, EndpointAddress, EndpointPort, EndpointSubset } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { specialIp } from './addresses.ts'
import { define } from './define.ts'
import { each, invalids, oneOf, required } from './fields.ts'
import { dns1123Label, dns1123Subdomain, ipAddress, portNumber, qualifiedNameErrors } from './names.ts'
import type { FieldError } from './strategy.ts'

function validateSubset(subset: EndpointSubset, path: string): FieldError[] {
  const { addresses = [], notReadyAddresses = [], ports = [] } = subset
  return [
    ...(addresses.length + notReadyAddresses.length === 0 ? [required(path, 'must specify `addresses` or `notReadyAddresses`')] : []),
    ...each(`${path}.addresses`, addresses, validateAddress),
    ...each(`${path}.notReadyAddresses`, notReadyAddresses, validateAddress),
    ...each(`${path}.ports`, ports, (port, portPath) => validatePort(port, portPath, ports.length > 1)),
  ]
}

function validateAddress(address: EndpointAddress, path: string): FieldError[] {
  const errors = invalids(`${path}.ip`, address.ip, ipAddress(address.ip))
  if (address.hostname) errors.push(...invalids(`${path}.hostname`, address.hostname, dns1123Label(address.hostname)))
  if (address.nodeName) errors.push(...invalids(`${path}.nodeName`, address.nodeName, dns1123Subdomain(address.nodeName)))
  return errors.length > 0 ? errors : invalids(`${path}.ip`, address.ip, specialIp(address.ip))
}

function validatePort(port: EndpointPort, path: string, needsName: boolean): FieldError[] {
  return [
    ...(port.name ? invalids(`${path}.name`, port.name, dns1123Label(port.name)) : needsName ? [required(`${path}.name`)] : []),
    ...invalids(`${path}.port`, port.port ?? 0, portNumber(port.port)),
    ...(port.protocol ? oneOf(`${path}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']) : [required(`${path}.protocol`)]),
    ...(port.appProtocol ? invalids(`${path}.appProtocol`, port.appProtocol, qualifiedNameErrors(port.appProtocol)) : []),
  ]
}

const shown = 3

/** `10.244.1.2:80,10.244.2.2:80 + 1 more...` (formatEndpoints). */
export function formatEndpoints({ subsets = [] }: Endpoints): string {
  const all = subsets.flatMap(({ addresses = [], ports = [] }) => ports.length === 0
    ? addresses.map(({ ip }) => bracketed(ip))
    : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${bracketed(ip)}:${port}`)))
  if (all.length === 0) return '<none>'
  return all.slice(0, shown).join(',') + (all.length > shown ? ` + ${all.length - shown} more...` : '')
}
const bracketed = (ip: string) => ip.includes(':') ? `[${ip}]` : ip

export const endpoints = define<Endpoints>({
  resource: resources.endpoints,
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  name: dns1123Subdomain,
  defaults({ subsets }) {
    for (const subset of subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP'
  },
  validate: object => each('subsets', object.subsets, validateSubset),
  columns: [{ name: 'Endpoints', description: 'The first three addresses with their ports.', value: formatEndpoints }],
})
