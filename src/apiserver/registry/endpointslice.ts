// EndpointSlices: which addresses answer for a Service, up to 1000 a slice.
import type { Endpoint, EndpointPort, EndpointSlice } from '#api/discovery/v1.ts'
import { parseIp } from '#net/ip.ts'
import { resources } from '#api/resources.ts'
import { specialIp } from './addresses.ts'
import { define } from './define.ts'
import { duplicate, duplicates, each, invalid, invalids, notSupported, oneOf, required, tooMany } from './fields.ts'
import { dns1123Label, dns1123Subdomain, ipAddress, portNumber, qualifiedNameErrors } from './names.ts'
import type { FieldError } from './strategy.ts'

const addressTypes = ['FQDN', 'IPv4', 'IPv6']
const maxEndpoints = 1000, maxAddresses = 100, maxPorts = 20000, maxHints = 8

function validateAddress(address: string, path: string, type: string): FieldError[] {
  if (type === 'FQDN') return invalids(path, address, dns1123Subdomain(address.replace(/\.$/, '')))
  const errors = ipAddress(address)
  if (errors.length > 0) return invalids(path, address, errors)
  if (`IPv${parseIp(address)!.family}` !== type) return [invalid(path, address, `must be an ${type} address`)]
  return invalids(path, address, specialIp(address))
}

function validateEndpoint(endpoint: Endpoint, path: string, type: string): FieldError[] {
  const { addresses = [], hints } = endpoint
  return [
    ...(addresses.length === 0 ? [required(`${path}.addresses`, 'must contain at least 1 address')] : []),
    ...(addresses.length > maxAddresses ? [tooMany(`${path}.addresses`, addresses.length, maxAddresses)] : []),
    ...each(`${path}.addresses`, addresses, (address, addressPath) => validateAddress(address, addressPath, type)),
    ...(endpoint.nodeName !== undefined ? invalids(`${path}.nodeName`, endpoint.nodeName, dns1123Subdomain(endpoint.nodeName)) : []),
    ...(endpoint.hostname !== undefined ? invalids(`${path}.hostname`, endpoint.hostname, dns1123Label(endpoint.hostname)) : []),
    ...(['forZones', 'forNodes'] as const).flatMap(key => [
      ...((hints?.[key]?.length ?? 0) > maxHints ? [tooMany(`${path}.hints.${key}`, hints![key]!.length, maxHints)] : []),
      ...duplicates(`${path}.hints.${key}`, hints?.[key], hint => hint.name, '.name'),
    ]),
  ]
}

function validatePorts(ports: readonly EndpointPort[]): FieldError[] {
  const seen = new Set<string>()
  return each('ports', ports, (port, path) => {
    const name = port.name ?? ''
    const errors = name ? invalids(`${path}.name`, name, dns1123Label(name)) : []
    if (seen.has(name)) errors.push(duplicate(`${path}.name`, name))
    seen.add(name)
    if (port.port !== undefined && port.port !== null) errors.push(...invalids(`${path}.port`, port.port, portNumber(port.port)))
    errors.push(...(port.protocol ? oneOf(`${path}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']) : [required(`${path}.protocol`)]))
    if (port.appProtocol) errors.push(...invalids(`${path}.appProtocol`, port.appProtocol, qualifiedNameErrors(port.appProtocol)))
    return errors
  })
}

/** printEndpointSlice: at most three, then how many more. */
const listed = (texts: readonly string[], empty: string, limit = 3) => texts.length === 0 ? empty
  : texts.slice(0, limit).join(',') + (texts.length > limit ? ` + ${texts.length - limit} more...` : '')

const portText = ({ port }: EndpointPort) => port === undefined || port === null ? '*' : String(port)

export const endpointslices = define<EndpointSlice>({
  resource: resources.endpointslices,
  name: dns1123Subdomain,
  defaults(draft) {
    draft.endpoints ??= []
    draft.ports ??= []
    for (const port of draft.ports) { port.name ??= ''; port.protocol ||= 'TCP' }
  },
  validate(slice) {
    const { addressType, endpoints = [], ports = [] } = slice
    if (!addressType) return [required('addressType')]
    if (!addressTypes.includes(addressType)) return [notSupported('addressType', addressType, addressTypes)]
    return [
      ...(endpoints.length > maxEndpoints ? [tooMany('endpoints', endpoints.length, maxEndpoints)] : []),
      ...each('endpoints', endpoints, (endpoint, path) => validateEndpoint(endpoint, path, addressType)),
      ...(ports.length > maxPorts ? [tooMany('ports', ports.length, maxPorts)] : []),
      ...validatePorts(ports),
    ]
  },
  validateUpdate: (slice, old) => slice.addressType === old.addressType ? []
    : [invalid('addressType', slice.addressType, 'field is immutable')],
  columns: [
    { name: 'AddressType', description: 'IPv4, IPv6 or FQDN.', value: slice => slice.addressType },
    { name: 'Ports', description: 'The ports that all of its endpoints have.', value: slice => listed((slice.ports ?? []).map(portText), '<unset>') },
    { name: 'Endpoints', description: 'The first three addresses.', value: slice => listed((slice.endpoints ?? []).flatMap(endpoint => endpoint.addresses), '<unset>') },
  ],
})
