// Whether a pod's containers are valid (validateContainers, validateInitContainers).
import type { Container, ContainerPort, EnvVar, LifecycleHandler, PodSpec, Probe, ResourceRequirements, SecurityContext, VolumeMount } from '#api/core/v1.ts'
import { compareQuantities, parseQuantity, quantityProblem } from '#api/quantity.ts'
import { at, duplicate, duplicates, each, forbidden, invalid, invalids, nonNegative, notFound, notSupported, oneOf, required } from '../fields.ts'
import { dns1123Label, dns1123Subdomain, envVarName, portName, portNumber, portNumberOrName, qualifiedNameErrors } from '../names.ts'
import type { FieldError } from '../strategy.ts'
import { validateId } from './ids.ts'
import { validateRelativePath } from './volumes.ts'

export function validateContainers(spec: PodSpec, path: string): FieldError[] {
  const volumes = new Set((spec.volumes ?? []).map(volume => volume.name))
  const lists = [['containers', spec.containers ?? []], ['initContainers', spec.initContainers ?? []]] as const
  const names = new Set<string>()
  return [
    ...((spec.containers ?? []).length === 0 ? [required(`${path}.containers`)] : []),
    ...lists.flatMap(([list, containers]) => each(`${path}.${list}`, containers, (container, containerPath) => {
      const repeated = names.has(container.name)
      names.add(container.name)
      return [
        ...(repeated ? [duplicate(`${containerPath}.name`, container.name)] : []),
        ...validateContainer(container, containerPath, volumes),
        ...(list === 'initContainers' ? validateInitContainer(container, containerPath) : []),
      ]
    })),
    ...lists.flatMap(([list, containers]) => hostPortConflicts(containers, `${path}.${list}`, list === 'initContainers')),
  ]
}

function validateContainer(container: Container, path: string, volumes: ReadonlySet<string>): FieldError[] {
  const { image = '' } = container
  return [
    ...(container.name ? invalids(`${path}.name`, container.name, dns1123Label(container.name)) : [required(`${path}.name`)]),
    ...(image === '' ? [required(`${path}.image`)]
      : image.trim() !== image ? [invalid(`${path}.image`, image, 'must not have leading or trailing whitespace')] : []),
    ...oneOf(`${path}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...oneOf(`${path}.terminationMessagePolicy`, container.terminationMessagePolicy, ['FallbackToLogsOnError', 'File']),
    ...validatePorts(container.ports, `${path}.ports`),
    ...each(`${path}.env`, container.env, validateEnv),
    ...each(`${path}.envFrom`, container.envFrom, validateEnvFrom),
    ...validateMounts(container.volumeMounts, `${path}.volumeMounts`, volumes),
    ...validateProbes(container, path),
    ...(container.lifecycle?.postStart ? validateHandler(container.lifecycle.postStart, `${path}.lifecycle.postStart`) : []),
    ...(container.lifecycle?.preStop ? validateHandler(container.lifecycle.preStop, `${path}.lifecycle.preStop`) : []),
    ...(container.resources ? validateResources(container.resources, `${path}.resources`) : []),
    ...validateSecurityContext(container.securityContext, `${path}.securityContext`),
  ]
}

/** An init container that is no sidecar runs to its end: nothing may wait for it to be ready. */
function validateInitContainer(container: Container, path: string): FieldError[] {
  if (container.restartPolicy === 'Always') return []
  return [
    ...(container.restartPolicy !== undefined ? [notSupported(`${path}.restartPolicy`, container.restartPolicy, ['Always'])] : []),
    ...(['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap(key => container[key]
      ? [forbidden(`${path}.${key}`, 'may not be set for init containers without restartPolicy=Always')] : []),
  ]
}

function validatePorts(ports: readonly ContainerPort[] | undefined, path: string): FieldError[] {
  return [
    ...each(path, ports, (port, portPath) => [
      ...(port.name ? invalids(`${portPath}.name`, port.name, portName(port.name)) : []),
      ...(port.containerPort ? invalids(`${portPath}.containerPort`, port.containerPort, portNumber(port.containerPort)) : [required(`${portPath}.containerPort`)]),
      ...(port.hostPort ? invalids(`${portPath}.hostPort`, port.hostPort, portNumber(port.hostPort)) : []),
      ...oneOf(`${portPath}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']),
    ]),
    ...duplicates(path, ports, port => port.name ?? '', '.name'),
  ]
}

/** Two containers of a pod cannot take one port of the host; init containers come one after another. */
function hostPortConflicts(containers: readonly Container[], path: string, separately: boolean): FieldError[] {
  let seen = new Set<string>()
  return each(path, containers, (container, containerPath) => {
    if (separately) seen = new Set()
    return each(`${containerPath}.ports`, container.ports, (port, portPath) => {
      if (!port.hostPort) return []
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
      if (seen.has(key)) return [duplicate(`${portPath}.hostPort`, key)]
      seen.add(key)
      return []
    })
  })
}

function validateEnv(variable: EnvVar, path: string): FieldError[] {
  const from = variable.valueFrom
  const errors = variable.name ? invalids(`${path}.name`, variable.name, envVarName(variable.name)) : [required(`${path}.name`)]
  if (!from) return errors
  const sources = Object.values(from).filter(source => source !== undefined && source !== null).length
  if (sources === 0) errors.push(invalid(`${path}.valueFrom`, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'))
  if (variable.value) errors.push(invalid(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty'))
  else if (sources > 1) errors.push(invalid(`${path}.valueFrom`, '', 'may not have more than one field specified at a time'))
  if (from.fieldRef) errors.push(...validateFieldRef(from.fieldRef.fieldPath, `${path}.valueFrom.fieldRef`, envFields))
  for (const key of ['configMapKeyRef', 'secretKeyRef'] as const) {
    if (from[key] && !from[key].name) errors.push(required(`${path}.valueFrom.${key}.name`))
    if (from[key] && !from[key].key) errors.push(required(`${path}.valueFrom.${key}.key`))
  }
  if (from.resourceFieldRef && !from.resourceFieldRef.resource) errors.push(required(`${path}.valueFrom.resourceFieldRef.resource`))
  return errors
}

const envFields = ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName',
  'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs']

/** `metadata.labels['key']` and `metadata.annotations['key']` are allowed everywhere. */
export function validateFieldRef(fieldPath: string | undefined, path: string, supported: readonly string[]): FieldError[] {
  if (!fieldPath) return [required(`${path}.fieldPath`)]
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath)
  if (subscript) return invalids(path, subscript[2]!, qualifiedNameErrors(subscript[1] === 'annotations' ? subscript[2]!.toLowerCase() : subscript[2]!))
  return supported.includes(fieldPath) ? [] : [notSupported(`${path}.fieldPath`, fieldPath, supported.toSorted())]
}

function validateEnvFrom(source: NonNullable<Container['envFrom']>[number], path: string): FieldError[] {
  const given = (['configMapRef', 'secretRef'] as const).filter(key => source[key])
  return [
    ...(source.prefix ? invalids(`${path}.prefix`, source.prefix, envVarName(source.prefix)) : []),
    ...given.flatMap(key => source[key]!.name ? invalids(`${path}.${key}.name`, source[key]!.name, dns1123Subdomain(source[key]!.name!)) : [required(`${path}.${key}.name`)]),
    ...(given.length === 0 ? [invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`')] : []),
    ...(given.length > 1 ? [invalid(path, '', 'may not have more than one field specified at a time')] : []),
  ]
}

function validateMounts(mounts: readonly VolumeMount[] | undefined, path: string, volumes: ReadonlySet<string>): FieldError[] {
  const seen = new Set<string>()
  return each(path, mounts, (mount, mountPath) => {
    const errors: FieldError[] = []
    if (!mount.name) errors.push(required(`${mountPath}.name`))
    else if (!volumes.has(mount.name)) errors.push(notFound(`${mountPath}.name`, mount.name))
    if (!mount.mountPath) errors.push(required(`${mountPath}.mountPath`))
    else if (seen.has(mount.mountPath)) errors.push(invalid(`${mountPath}.mountPath`, mount.mountPath, 'must be unique'))
    seen.add(mount.mountPath)
    if (mount.subPath) errors.push(...validateRelativePath(mount.subPath, `${mountPath}.subPath`))
    if (mount.subPath && mount.subPathExpr) errors.push(invalid(`${mountPath}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'))
    if (mount.subPathExpr) errors.push(...validateRelativePath(mount.subPathExpr, `${mountPath}.subPathExpr`))
    if (mount.mountPropagation) errors.push(...oneOf(`${mountPath}.mountPropagation`, mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None']))
    return errors
  })
}

function validateProbes(container: Container, path: string): FieldError[] {
  return (['livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap(key => {
    const probe = container[key], probePath = `${path}.${key}`
    if (!probe) return []
    const errors = validateHandler(probe, probePath)
    for (const seconds of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const)
      errors.push(...nonNegative(`${probePath}.${seconds}`, probe[seconds]))
    if (probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0)
      errors.push(invalid(`${probePath}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must be greater than 0'))
    if (key === 'readinessProbe' && probe.terminationGracePeriodSeconds !== undefined)
      errors.push(invalid(`${probePath}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must not be set for readinessProbes'))
    if (key !== 'readinessProbe' && probe.successThreshold !== undefined && probe.successThreshold !== 1)
      errors.push(invalid(`${probePath}.successThreshold`, probe.successThreshold, 'must be 1'))
    return errors
  })
}

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>

function validateHandler(handler: Handler, path: string): FieldError[] {
  const kinds = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter(kind => handler[kind])
  if (kinds.length === 0) return [required(path, 'must specify a handler type')]
  const errors = kinds.slice(1).map(kind => forbidden(`${path}.${kind}`, 'may not specify more than 1 handler type'))
  if (handler.exec && !handler.exec.command?.length) errors.push(required(`${path}.exec.command`))
  if (handler.httpGet) errors.push(...validateHttpGet(handler.httpGet, `${path}.httpGet`))
  if (handler.tcpSocket) errors.push(...invalids(`${path}.tcpSocket.port`, handler.tcpSocket.port, portNumberOrName(handler.tcpSocket.port)))
  if (handler.grpc) errors.push(...invalids(`${path}.grpc.port`, handler.grpc.port, portNumber(handler.grpc.port)))
  if (handler.sleep && handler.sleep.seconds < 0) errors.push(invalid(`${path}.sleep.seconds`, handler.sleep.seconds, 'must be greater than or equal to 0'))
  return errors
}

function validateHttpGet(get: NonNullable<Probe['httpGet']>, path: string): FieldError[] {
  return [
    ...(get.path ? [] : [required(`${path}.path`)]),
    ...invalids(`${path}.port`, get.port ?? 0, portNumberOrName(get.port)),
    ...oneOf(`${path}.scheme`, get.scheme, ['HTTP', 'HTTPS']),
    ...each(`${path}.httpHeaders`, get.httpHeaders, ({ name }, headerPath) => /^[-A-Za-z0-9]+$/.test(name ?? '') ? []
      : [invalid(`${headerPath}.name`, name, "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')")]),
  ]
}

const standardResources = ['cpu', 'memory', 'ephemeral-storage', 'pods', 'storage']
const containerResource = (name: string) => standardResources.includes(name) || name.startsWith('hugepages-') || name.includes('/')

export function validateResources(resources: ResourceRequirements, path: string): FieldError[] {
  const list = (kind: 'limits' | 'requests') => Object.entries(resources[kind] ?? {}).flatMap(([name, value]) => {
    const itemPath = at(`${path}.${kind}`, name)
    const amount = parseQuantity(value)
    if (!containerResource(name)) return [invalid(itemPath, name, 'must be a standard resource type or fully qualified')]
    if (!amount) return [invalid(itemPath, value, quantityProblem(value)!)]
    return amount.nanos < 0n ? [invalid(itemPath, value, 'must be greater than or equal to 0')] : []
  })
  const above = Object.entries(resources.requests ?? {}).filter(([name, value]) => {
    const limit = parseQuantity(resources.limits?.[name] ?? ''), request = parseQuantity(value)
    return limit && request && compareQuantities(request, limit) > 0
  })
  return [
    ...list('limits'), ...list('requests'),
    ...above.map(([name, value]) => invalid(`${path}.requests`, value, `must be less than or equal to ${name} limit of ${resources.limits![name]}`)),
  ]
}

function validateSecurityContext(context: SecurityContext | undefined, path: string): FieldError[] {
  if (!context) return []
  const addsAdmin = context.capabilities?.add?.some(name => name === 'CAP_SYS_ADMIN' || name === 'SYS_ADMIN')
  return [
    ...validateId(`${path}.runAsUser`, context.runAsUser),
    ...validateId(`${path}.runAsGroup`, context.runAsGroup),
    ...(context.procMount ? oneOf(`${path}.procMount`, context.procMount, ['Default', 'Unmasked']) : []),
    ...(context.seccompProfile ? oneOf(`${path}.seccompProfile.type`, context.seccompProfile.type, ['Localhost', 'RuntimeDefault', 'Unconfined']) : []),
    ...(context.allowPrivilegeEscalation === false && context.privileged
      ? [invalid(path, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true')] : []),
    ...(context.allowPrivilegeEscalation === false && addsAdmin
      ? [invalid(path, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN')] : []),
  ]
}
