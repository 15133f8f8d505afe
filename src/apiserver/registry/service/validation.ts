// Whether a Service is valid (ValidateService, ValidateServiceUpdate), topologyKeys as 1.20 had them
// included. What is allocated is checked by allocation.ts, which comes first.
import type { Service, ServicePort } from '#api/core/v1.ts'
import { at, duplicate, each, forbidden, invalid, invalids, notSupported, oneOf, required, tooMany } from '../fields.ts'
import { validateLabels } from '../labels.ts'
import { cidrBlock, dns1123Label, dns1123Subdomain, ipAddress, portNumber, portNumberOrName, qualifiedNameErrors } from '../names.ts'
import { specialIp } from '../addresses.ts'
import type { FieldError } from '../strategy.ts'
import { validateClusterIPFields } from './families.ts'
import { isHeadless, needsClusterIP, needsExternalTrafficPolicy, needsHealthCheck } from './needs.ts'

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const protocols = ['SCTP', 'TCP', 'UDP']
const kubeletPort = 10250
const onlyForLoadBalancers = "may only be used when `type` is 'LoadBalancer'"

export function validate(service: Service): FieldError[] {
  const { spec } = service
  return [
    ...(!spec.ports?.length && !isHeadless(service) && spec.type !== 'ExternalName' ? [required('spec.ports')] : []),
    ...validateByType(service),
    ...validatePorts(spec.ports ?? [], spec.type),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(spec),
    ...(spec.type === 'ExternalName' ? [] : validateClusterIPFields(service)),
    ...each('spec.externalIPs', spec.externalIPs, (ip, path) => {
      const errors = invalids(path, ip, ipAddress(ip))
      return errors.length > 0 ? errors : invalids(path, ip, specialIp(ip))
    }),
    ...oneOf('spec.type', spec.type, types),
    ...validateLoadBalancerFields(spec),
    ...validateTrafficPolicies(service),
    ...validateTopologyKeys(spec),
  ]
}

function validateByType(service: Service): FieldError[] {
  const { spec } = service
  if (spec.type === 'ExternalName') return validateExternalName(spec)
  const headless = (type: string) => isHeadless(service)
    ? [invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`)] : []
  if (spec.type === 'NodePort') return headless('NodePort')
  if (spec.type !== 'LoadBalancer') return []
  return [
    ...each('spec.ports', spec.ports, (port, path) => port.port === kubeletPort
      ? [invalid(`${path}.port`, port.port, `may not expose port ${kubeletPort} externally since it is used by kubelet`)] : []),
    ...headless('LoadBalancer'),
  ]
}

function validateExternalName(spec: Service['spec']): FieldError[] {
  // A trailing dot says that the name is complete.
  const name = (spec.externalName ?? '').replace(/\.$/, '')
  return [
    ...(['clusterIPs', 'ipFamilies'] as const).flatMap(key => spec[key]?.length ? [forbidden(`spec.${key}`, 'may not be set for ExternalName services')] : []),
    ...(spec.ipFamilyPolicy !== undefined ? [forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services')] : []),
    ...(name ? invalids('spec.externalName', name, dns1123Subdomain(name)) : [required('spec.externalName')]),
  ]
}

function validatePorts(ports: readonly ServicePort[], type: string | undefined): FieldError[] {
  const names = new Set<string>()
  return [
    ...each('spec.ports', ports, (port, path) => validatePort(port, path, { needsName: ports.length > 1, names })),
    ...(type === 'ClusterIP' ? each('spec.ports', ports, (port, path) => port.nodePort
      ? [forbidden(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'")] : []) : []),
    ...repeated(ports, port => port.nodePort ? `${port.protocol}/${port.nodePort}` : '', (port, path) => duplicate(`${path}.nodePort`, port.nodePort)),
    // Upstream prints its internal form of the port with just these two fields set.
    ...repeated(ports, port => `${port.protocol}/${port.port}`, ({ protocol, port }, path) =>
      duplicate(path, { Name: '', Protocol: protocol, AppProtocol: null, Port: port ?? 0, TargetPort: 0, NodePort: 0 })),
  ]
}

function repeated(ports: readonly ServicePort[], key: (port: ServicePort) => string, error: (port: ServicePort, path: string) => FieldError): FieldError[] {
  const seen = new Set<string>()
  return each('spec.ports', ports, (port, path) => {
    const value = key(port)
    if (value === '') return []
    if (seen.has(value)) return [error(port, path)]
    seen.add(value)
    return []
  })
}

function validatePort(port: ServicePort, path: string, { needsName, names }: { needsName: boolean; names: Set<string> }): FieldError[] {
  const errors: FieldError[] = []
  if (!port.name) { if (needsName) errors.push(required(`${path}.name`)) }
  else {
    errors.push(...invalids(`${path}.name`, port.name, dns1123Label(port.name)))
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name))
    names.add(port.name)
  }
  errors.push(...invalids(`${path}.port`, port.port ?? 0, portNumber(port.port)))
  errors.push(...(port.protocol ? oneOf(`${path}.protocol`, port.protocol, protocols) : [required(`${path}.protocol`)]))
  // A missing port was copied here; upstream reports both.
  errors.push(...invalids(`${path}.targetPort`, port.targetPort ?? 0, portNumberOrName(port.targetPort)))
  if (port.appProtocol) errors.push(...invalids(`${path}.appProtocol`, port.appProtocol, qualifiedNameErrors(port.appProtocol)))
  return errors
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: Service['spec']): FieldError[] {
  const path = 'spec.sessionAffinityConfig'
  if (!sessionAffinity) return [required('spec.sessionAffinity')]
  if (sessionAffinity === 'None') return sessionAffinityConfig ? [forbidden(path, 'must not be set when session affinity is None')] : []
  if (sessionAffinity !== 'ClientIP') return [notSupported('spec.sessionAffinity', sessionAffinity, ['ClientIP', 'None'])]
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds
  if (seconds === undefined) return [required(`${path}.clientIP.timeoutSeconds`, 'when session affinity type is ClientIP')]
  return seconds > 0 && seconds <= 86400 ? [] : [invalid(`${path}.clientIP.timeoutSeconds`, seconds, 'must be greater than 0 and less than 86400')]
}

function validateLoadBalancerFields(spec: Service['spec']): FieldError[] {
  const loadBalancer = spec.type === 'LoadBalancer'
  const sources = spec.loadBalancerSourceRanges
  const errors: FieldError[] = []
  if (sources?.length && !loadBalancer) errors.push(forbidden('spec.LoadBalancerSourceRanges', onlyForLoadBalancers))
  else errors.push(...each('spec.loadBalancerSourceRanges', sources, (range, path) => invalids(path, range, cidrBlock(range.trim()))))
  if (loadBalancer && spec.allocateLoadBalancerNodePorts === undefined) errors.push(required('spec.allocateLoadBalancerNodePorts'))
  if (!loadBalancer && spec.allocateLoadBalancerNodePorts !== undefined) errors.push(forbidden('spec.allocateLoadBalancerNodePorts', onlyForLoadBalancers))
  if (!loadBalancer && spec.loadBalancerClass !== undefined) errors.push(forbidden('spec.loadBalancerClass', onlyForLoadBalancers))
  if (loadBalancer && spec.loadBalancerClass !== undefined) errors.push(...invalids('spec.loadBalancerClass', spec.loadBalancerClass, qualifiedNameErrors(spec.loadBalancerClass)))
  return errors
}

const trafficPolicies = ['Cluster', 'Local']
const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone']

function validateTrafficPolicies(service: Service): FieldError[] {
  const { externalTrafficPolicy: external, internalTrafficPolicy: internal, healthCheckNodePort: port, trafficDistribution } = service.spec
  const errors: FieldError[] = []
  if (needsExternalTrafficPolicy(service)) {
    errors.push(...(external ? oneOf('spec.externalTrafficPolicy', external, trafficPolicies) : [required('spec.externalTrafficPolicy')]))
  } else if (external) errors.push(invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'))
  if (needsHealthCheck(service)) {
    errors.push(...(port ? invalids('spec.healthCheckNodePort', port, portNumber(port)) : [required('spec.healthCheckNodePort')]))
  } else if (port) {
    errors.push(invalid('spec.healthCheckNodePort', port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
  }
  if (needsClusterIP(service) && !internal) errors.push(required('spec.internalTrafficPolicy'))
  if (internal) errors.push(...oneOf('spec.internalTrafficPolicy', internal, trafficPolicies))
  if (trafficDistribution !== undefined) errors.push(...oneOf('spec.trafficDistribution', trafficDistribution, distributions))
  return errors
}

const maxTopologyKeys = 16

/** As Kubernetes 1.20 asked of the field that later versions dropped. */
function validateTopologyKeys({ topologyKeys, externalTrafficPolicy }: Service['spec']): FieldError[] {
  if (!topologyKeys?.length) return []
  const path = 'spec.topologyKeys'
  return [
    ...(externalTrafficPolicy === 'Local' ? [forbidden(path, 'may not be specified when `externalTrafficPolicy=Local`')] : []),
    ...(topologyKeys.length > maxTopologyKeys ? [tooMany(path, topologyKeys.length, maxTopologyKeys)] : []),
    ...each(path, topologyKeys, (key, keyPath, index) => [
      ...(topologyKeys.indexOf(key) < index ? [duplicate(keyPath, key)] : []),
      ...(key === '*' && index !== topologyKeys.length - 1 ? [invalid(keyPath, key, '"*" must be the last value specified')] : []),
      ...(key === '*' ? [] : invalids(keyPath, topologyKeys, qualifiedNameErrors(key))),
    ]),
  ]
}

const once = 'may not change once set'

export function validateUpdate(service: Service, old: Service): FieldError[] {
  return [
    ...validateClusterIPUpdate(service, old),
    ...(service.spec.type === 'LoadBalancer' && old.spec.type === 'LoadBalancer' && service.spec.loadBalancerClass !== old.spec.loadBalancerClass
      ? [invalid('spec.loadBalancerClass', service.spec.loadBalancerClass, once)] : []),
    ...(needsHealthCheck(service) && needsHealthCheck(old) && service.spec.healthCheckNodePort !== old.spec.healthCheckNodePort
      ? [invalid('spec.healthCheckNodePort', service.spec.healthCheckNodePort, 'field is immutable')] : []),
  ]
}

/** validateUpgradeDowngradeClusterIPs, for one family. */
function validateClusterIPUpdate(service: Service, old: Service): FieldError[] {
  if (service.spec.type === 'ExternalName' || old.spec.type === 'ExternalName') return []
  if (isHeadless(service) && isHeadless(old)) return []
  const now = service.spec.clusterIPs ?? [], before = old.spec.clusterIPs ?? []
  if (now.length === 0 && before.length > 0) return [invalid('spec.clusterIPs[0]', now, 'primary clusterIP can not be unset')]
  return before.flatMap((ip, index) => index < now.length && now[index] !== ip ? [invalid(at('spec.clusterIPs', index), now, once)] : [])
}

/** For `/status`: a load balancer's addresses belong to a load balancer (ValidateLoadBalancerStatus). */
export function validateStatus({ spec, status }: Service): FieldError[] {
  const path = 'status.loadBalancer.ingress', ingress = status?.loadBalancer?.ingress
  if (ingress?.length && spec.type !== 'LoadBalancer') return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
  return each(path, ingress, ({ ip, ipMode, hostname }, itemPath) => [
    ...(ip ? invalids(`${itemPath}.ip`, ip, ipAddress(ip)) : []),
    ...(ip && ipMode === undefined ? [required(`${itemPath}.ipMode`, 'must be specified when `ip` is set')] : []),
    ...(ipMode !== undefined && !ip ? [forbidden(`${itemPath}.ipMode`, 'may not be specified when `ip` is not set')] : []),
    ...(ipMode !== undefined ? oneOf(`${itemPath}.ipMode`, ipMode, ['Proxy', 'VIP']) : []),
    ...(hostname ? invalids(`${itemPath}.hostname`, hostname, [...dns1123Subdomain(hostname), ...(ipAddress(hostname).length === 0 ? ['must be a DNS name, not an IP address'] : [])]) : []),
  ])
}
