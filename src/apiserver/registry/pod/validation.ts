// Whether a pod's spec is valid (ValidatePodSpec): what concerns the pod as a whole. Containers, volumes
// and scheduling have their own files.
import type { Pod, PodDNSConfig, PodSecurityContext, PodSpec } from '#api/core/v1.ts'
import { duplicates, each, forbidden, invalid, invalids, oneOf, required } from '../fields.ts'
import { dns1123Label, dns1123Subdomain, ipAddress, qualifiedNameErrors } from '../names.ts'
import type { FieldError } from '../strategy.ts'
import { validateContainers, validateResources } from './containers.ts'
import { validateId } from './ids.ts'
import { validateScheduling } from './scheduling.ts'
import { validateVolumes } from './volumes.ts'

export const validatePod = (pod: Pod): FieldError[] => [
  ...validatePodSpec(pod.spec, 'spec'),
  ...(pod.spec.hostNetwork ? hostNetworkPorts(pod.spec, 'spec') : []),
  ...(pod.spec.ephemeralContainers?.length && !pod.spec.nodeName
    ? [forbidden('spec.ephemeralContainers', 'ephemeral containers are not supported in a pod that is being created; use the ephemeralcontainers subresource')] : []),
]

export function validatePodSpec(spec: PodSpec, path: string): FieldError[] {
  const grace = spec.activeDeadlineSeconds
  return [
    ...validateVolumes(spec.volumes, `${path}.volumes`),
    ...validateContainers(spec, path),
    ...oneOf(`${path}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...oneOf(`${path}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']),
    ...validateDnsConfig(spec, `${path}.dnsConfig`),
    ...validateNames(spec, path),
    ...validateSecurityContext(spec.securityContext, `${path}.securityContext`),
    ...(grace !== undefined && (grace < 1 || grace > 2 ** 31 - 1)
      ? [invalid(`${path}.activeDeadlineSeconds`, grace, 'must be between 1 and 2147483647, inclusive')] : []),
    ...validateScheduling(spec, path),
    ...each(`${path}.hostAliases`, spec.hostAliases, (alias, aliasPath) => [
      ...invalids(`${aliasPath}.ip`, alias.ip, ipAddress(alias.ip)),
      ...each(`${aliasPath}.hostnames`, alias.hostnames, (name, namePath) => invalids(namePath, name, dns1123Subdomain(name)).map(error => ({ ...error, field: `${aliasPath}.hostnames` }))),
    ]),
    ...(spec.shareProcessNamespace && spec.hostPID
      ? [invalid(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled')] : []),
    ...(spec.resources ? validateResources(spec.resources, `${path}.resources`) : []),
  ]
}

function validateNames(spec: PodSpec, path: string): FieldError[] {
  const subdomain = (key: 'serviceAccountName' | 'nodeName' | 'priorityClassName' | 'runtimeClassName') =>
    spec[key] ? invalids(`${path}.${key}`, spec[key], dns1123Subdomain(spec[key])) : []
  return [
    ...subdomain('serviceAccountName'), ...subdomain('nodeName'),
    ...each(`${path}.imagePullSecrets`, spec.imagePullSecrets, ({ name }, secretPath) => name ? [] : [required(`${secretPath}.name`)]),
    ...(spec.hostname ? invalids(`${path}.hostname`, spec.hostname, dns1123Label(spec.hostname)) : []),
    ...(spec.subdomain ? invalids(`${path}.subdomain`, spec.subdomain, dns1123Label(spec.subdomain)) : []),
    ...subdomain('priorityClassName'), ...subdomain('runtimeClassName'),
    ...(spec.preemptionPolicy ? oneOf(`${path}.preemptionPolicy`, spec.preemptionPolicy, ['Never', 'PreemptLowerPriority']) : []),
    ...(spec.os ? oneOf(`${path}.os.name`, spec.os.name, ['linux', 'windows']) : []),
    ...each(`${path}.readinessGates`, spec.readinessGates, ({ conditionType }, gatePath) =>
      invalids(`${gatePath}.conditionType`, conditionType, qualifiedNameErrors(conditionType))),
    ...each(`${path}.schedulingGates`, spec.schedulingGates, ({ name }, gatePath) =>
      invalids(gatePath, name, qualifiedNameErrors(name))),
    ...duplicates(`${path}.schedulingGates`, spec.schedulingGates, gate => gate.name),
  ]
}

const maxNameservers = 3, maxSearches = 32, maxSearchCharacters = 2048

function validateDnsConfig({ dnsPolicy, dnsConfig }: PodSpec, path: string): FieldError[] {
  if (dnsPolicy === 'None') {
    if (!dnsConfig) return [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')]
    if (!dnsConfig.nameservers?.length) return [required(`${path}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'), ...validateDnsLists(dnsConfig, path)]
  }
  return dnsConfig ? validateDnsLists(dnsConfig, path) : []
}

function validateDnsLists({ nameservers = [], searches = [], options }: PodDNSConfig, path: string): FieldError[] {
  return [
    ...(nameservers.length > maxNameservers ? [invalid(`${path}.nameservers`, nameservers, `must not have more than ${maxNameservers} nameservers`)] : []),
    ...each(`${path}.nameservers`, nameservers, (address, itemPath) => invalids(itemPath, address, ipAddress(address))),
    ...(searches.length > maxSearches ? [invalid(`${path}.searches`, searches, `must not have more than ${maxSearches} search paths`)] : []),
    ...(searches.join(' ').length > maxSearchCharacters
      ? [invalid(`${path}.searches`, searches, `must not have more than ${maxSearchCharacters} characters (including spaces) in the search list`)] : []),
    // RelaxedDNSSearchValidation (KEP-4427): underscores and a single dot are allowed.
    ...each(`${path}.searches`, searches, (search, itemPath) => search === '.' ? []
      : invalids(itemPath, search, dns1123Subdomain(search.replace(/\.$/, '').replaceAll('_', '-').replace(/^-/, 'a')))),
    ...each(`${path}.options`, options, ({ name }, itemPath) => name ? [] : [required(itemPath, 'must not be empty')]),
  ]
}

function validateSecurityContext(context: PodSecurityContext | undefined, path: string): FieldError[] {
  if (!context) return []
  const id = (key: 'runAsUser' | 'runAsGroup' | 'fsGroup') => validateId(`${path}.${key}`, context[key])
  return [
    ...id('fsGroup'), ...id('runAsUser'), ...id('runAsGroup'),
    ...each(`${path}.supplementalGroups`, context.supplementalGroups, (group, groupPath) => validateId(groupPath, group)),
    ...duplicates(`${path}.sysctls`, context.sysctls, sysctl => sysctl.name, '.name'),
    ...each(`${path}.sysctls`, context.sysctls, ({ name }, sysctlPath) => !name ? [required(`${sysctlPath}.name`)]
      : /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]$/.test(name) ? []
        : [invalid(`${sysctlPath}.name`, name, 'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]$')]),
    ...(context.fsGroupChangePolicy ? oneOf(`${path}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ['Always', 'OnRootMismatch']) : []),
    ...(context.supplementalGroupsPolicy ? oneOf(`${path}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ['Merge', 'Strict']) : []),
    ...(context.seccompProfile ? oneOf(`${path}.seccompProfile.type`, context.seccompProfile.type, ['Localhost', 'RuntimeDefault', 'Unconfined']) : []),
  ]
}

/** On the host's network a container's port is the host's: they must be the same. */
function hostNetworkPorts(spec: PodSpec, path: string): FieldError[] {
  return (['initContainers', 'containers'] as const).flatMap(list =>
    each(`${path}.${list}`, spec[list], (container, containerPath) =>
      each(`${containerPath}.ports`, container.ports, (port, portPath) => port.hostPort === port.containerPort ? []
        : [invalid(`${portPath}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true')])))
}
