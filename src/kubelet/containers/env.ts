// A container's environment: Services, then envFrom, then env, later ones winning; upstream's
// makeEnvironmentVariables. Pure: config maps and secrets come in as a lookup.
import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from '#api/core/v1.ts'
import { expand } from './expansion.ts'
import { fieldValue, resourceValue, type FieldContext } from './fields.ts'
import { serviceEnv } from './service-env.ts'

export interface ObjectLookup {
  configMap(namespace: string, name: string): ConfigMap | undefined
  secret(namespace: string, name: string): Secret | undefined
}
export interface EnvContext extends FieldContext {
  readonly services: readonly Service[]
  readonly objects: ObjectLookup
}

/** What keeps a container from being made; its text is the message of CreateContainerConfigError. */
export class ConfigError extends Error {}

export function environment(pod: Pod, container: Container, context: EnvContext): [string, string][] {
  const services = new Map(serviceEnv(context.services, pod.metadata.namespace!, pod.spec.enableServiceLinks !== false))
  const result = new Map<string, string>()
  for (const source of container.envFrom ?? []) for (const [name, value] of envFrom(pod, source, context)) result.set(name, value)
  // References see what env and envFrom set so far, then the services (upstream: tmpEnv and serviceEnv).
  const lookup = (name: string) => result.get(name) ?? services.get(name)
  for (const variable of container.env ?? []) {
    const value = variableValue(pod, container, variable, { ...context, lookup })
    if (value !== undefined) result.set(variable.name, value)
  }
  for (const [name, value] of services) if (!result.has(name)) result.set(name, value)
  return [...result]
}

function envFrom(pod: Pod, source: NonNullable<Container['envFrom']>[number], { objects }: EnvContext): [string, string][] {
  const namespace = pod.metadata.namespace!
  const prefix = source.prefix ?? ''
  const data: [string, string][] = []
  if (source.configMapRef) {
    const map = found(objects.configMap(namespace, source.configMapRef.name!), 'configmap', source.configMapRef)
    data.push(...Object.entries(map?.data ?? {}))
  } else if (source.secretRef) {
    const secret = found(objects.secret(namespace, source.secretRef.name!), 'secret', source.secretRef)
    data.push(...Object.entries(secret?.data ?? {}).map(([key, value]): [string, string] => [key, decode(value)]))
  }
  return data.toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, value]): [string, string] => [prefix + key, value])
    .filter(([name]) => name !== '' && !/[=\0]/.test(name))
}

const decode = (base64: string) => Buffer.from(base64, 'base64').toString('utf8')

function found<T>(object: T | undefined, kind: string, { name, optional }: { name?: string; optional?: boolean }): T | undefined {
  if (!object && !optional) throw new ConfigError(`${kind} "${name}" not found`)
  return object
}

function variableValue(pod: Pod, container: Container, { value, valueFrom }: EnvVar, context: EnvContext & { lookup(name: string): string | undefined }): string | undefined {
  if (!valueFrom) return expand(value ?? '', context.lookup)
  if (valueFrom.fieldRef) return fieldValue(pod, valueFrom.fieldRef, context)
  if (valueFrom.resourceFieldRef) return resourceValue(pod, valueFrom.resourceFieldRef, container, context)
  const namespace = pod.metadata.namespace!
  if (valueFrom.configMapKeyRef) {
    const { name, key, optional } = valueFrom.configMapKeyRef
    const map = found(context.objects.configMap(namespace, name!), 'configmap', { name, optional })
    return keyed(map?.data?.[key], `couldn't find key ${key} in ConfigMap ${namespace}/${name}`, optional)
  }
  if (valueFrom.secretKeyRef) {
    const { name, key, optional } = valueFrom.secretKeyRef
    const secret = found(context.objects.secret(namespace, name!), 'secret', { name, optional })
    const data = secret?.data?.[key]
    return keyed(data === undefined ? undefined : decode(data), `couldn't find key ${key} in Secret ${namespace}/${name}`, optional)
  }
  throw new ConfigError('fileKeyRef is not supported: use a configMapKeyRef or a secretKeyRef')
}

function keyed(value: string | undefined, missing: string, optional: boolean | undefined): string | undefined {
  if (value === undefined && !optional) throw new ConfigError(missing)
  return value
}
