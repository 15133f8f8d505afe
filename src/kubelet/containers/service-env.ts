// The environment variables that a pod gets for Services: upstream's envvars.FromServices and the
// kubelet's getServiceEnvVarMap. Pure.
import type { Service } from '#api/core/v1.ts'

const upper = (name: string) => name.replaceAll('-', '_').toUpperCase()
const hasClusterIp = ({ spec }: Service) => !!spec.clusterIP && spec.clusterIP !== 'None'

/**
 * Services of the pod's own namespace (with `links`), and always `kubernetes` of the default
 * namespace. Headless services have no variables.
 */
export function serviceEnv(services: readonly Service[], namespace: string, links: boolean): [string, string][] {
  const wanted = new Map<string, Service>()
  for (const service of services) {
    if (!hasClusterIp(service)) continue
    const { name, namespace: of } = service.metadata
    // The pod's own namespace wins over the default one's `kubernetes`.
    if (of === 'default' && name === 'kubernetes' && !wanted.has(name)) wanted.set(name, service)
    if (of === namespace && links) wanted.set(name, service)
  }
  return [...wanted.values()].toSorted((a, b) => a.metadata.name < b.metadata.name ? -1 : 1).flatMap(serviceVariables)
}

function serviceVariables({ metadata, spec }: Service): [string, string][] {
  const prefix = upper(metadata.name)
  const ports = spec.ports ?? []
  const first = ports[0]
  const named = ports.filter(({ name }) => name)
  return [
    [`${prefix}_SERVICE_HOST`, spec.clusterIP!],
    [`${prefix}_SERVICE_PORT`, String(first?.port ?? '')],
    ...named.map(({ name, port }): [string, string] => [`${prefix}_SERVICE_PORT_${upper(name!)}`, String(port)]),
    ...linkVariables(prefix, spec.clusterIP!, ports),
  ]
}

/** Docker's link variables: `X_PORT`, `X_PORT_80_TCP`, `..._PROTO`, `..._PORT`, `..._ADDR`. */
function linkVariables(prefix: string, ip: string, ports: NonNullable<Service['spec']['ports']>): [string, string][] {
  const host = ip.includes(':') ? `[${ip}]` : ip
  return ports.flatMap(({ port, protocol = 'TCP' }, index): [string, string][] => {
    const url = `${protocol.toLowerCase()}://${host}:${port}`
    const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`
    return [
      ...(index === 0 ? [[`${prefix}_PORT`, url] as [string, string]] : []),
      [name, url], [`${name}_PROTO`, protocol.toLowerCase()], [`${name}_PORT`, String(port)], [`${name}_ADDR`, ip],
    ]
  })
}
