// Whether a pod's volumes are valid (ValidateVolumes), for the sources that Fairway mounts; of the others
// only that there is exactly one.
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection } from '#api/core/v1.ts'
import { parseQuantity } from '#api/quantity.ts'
import { duplicate, each, forbidden, invalid, invalids, oneOf, required } from '../fields.ts'
import { dns1123Label } from '../names.ts'
import type { FieldError } from '../strategy.ts'

export function validateVolumes(volumes: readonly Volume[] | undefined, path: string): FieldError[] {
  const seen = new Set<string>()
  return each(path, volumes, (volume, volumePath) => {
    const errors = validateSource(volume, volumePath)
    if (!volume.name) return [...errors, required(`${volumePath}.name`)]
    errors.push(...invalids(`${volumePath}.name`, volume.name, dns1123Label(volume.name)))
    if (seen.has(volume.name)) errors.push(duplicate(`${volumePath}.name`, volume.name))
    seen.add(volume.name)
    return errors
  })
}

function validateSource(volume: Volume, path: string): FieldError[] {
  const sources = Object.entries(volume).filter(([key, value]) => key !== 'name' && value !== undefined && value !== null).map(([key]) => key)
  if (sources.length === 0) return [required(path, 'must specify a volume type')]
  const errors = sources.slice(1).map(key => forbidden(`${path}.${key}`, 'may not specify more than 1 volume type'))
  const { emptyDir, hostPath, secret, configMap, downwardAPI, projected } = volume
  if (emptyDir?.sizeLimit && (parseQuantity(emptyDir.sizeLimit)?.nanos ?? -1n) < 0n)
    errors.push(forbidden(`${path}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'))
  if (hostPath) errors.push(...validateHostPath(hostPath, `${path}.hostPath`))
  if (secret) errors.push(...(secret.secretName ? [] : [required(`${path}.secret.secretName`)]), ...validateItems(secret, `${path}.secret`))
  if (configMap) errors.push(...(configMap.name ? [] : [required(`${path}.configMap.name`)]), ...validateItems(configMap, `${path}.configMap`))
  if (downwardAPI) errors.push(...validateMode(downwardAPI.defaultMode, `${path}.downwardAPI.defaultMode`), ...each(`${path}.downwardAPI.items`, downwardAPI.items, validateDownwardFile))
  if (projected) errors.push(...validateMode(projected.defaultMode, `${path}.projected.defaultMode`), ...validateProjected(projected.sources, `${path}.projected.sources`))
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName) errors.push(required(`${path}.persistentVolumeClaim.claimName`))
  return errors
}

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket']

function validateHostPath(source: NonNullable<Volume['hostPath']>, path: string): FieldError[] {
  if (!source.path) return [required(`${path}.path`)]
  return [
    ...backsteps(source.path, `${path}.path`),
    ...oneOf(`${path}.type`, source.type ?? '', hostPathTypes),
  ]
}

const validateMode = (mode: number | undefined, path: string): FieldError[] =>
  mode !== undefined && (mode < 0 || mode > 0o777) ? [invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')] : []

function validateItems(source: { items?: KeyToPath[]; defaultMode?: number }, path: string): FieldError[] {
  return [
    ...validateMode(source.defaultMode, `${path}.defaultMode`),
    ...each(`${path}.items`, source.items, (item, itemPath) => [
      ...(item.key ? [] : [required(`${itemPath}.key`)]),
      ...(item.path ? validateLocalPath(item.path, `${itemPath}.path`) : [required(`${itemPath}.path`)]),
      ...validateMode(item.mode, `${itemPath}.mode`),
    ]),
  ]
}

const downwardFields = ['metadata.name', 'metadata.namespace', 'metadata.uid', 'metadata.labels', 'metadata.annotations']

function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors = file.path ? validateLocalPath(file.path, `${path}.path`) : [required(`${path}.path`)]
  if (file.fieldRef) {
    const { fieldPath } = file.fieldRef
    if (!downwardFields.includes(fieldPath) && !/^metadata\.(labels|annotations)\['.+'\]$/.test(fieldPath ?? ''))
      errors.push(...oneOf(`${path}.fieldRef.fieldPath`, fieldPath, downwardFields.toSorted()))
    if (file.resourceFieldRef) errors.push(invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
  } else if (!file.resourceFieldRef) errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'))
  else if (!file.resourceFieldRef.containerName) errors.push(required(`${path}.resourceFieldRef.containerName`))
  return [...errors, ...validateMode(file.mode, `${path}.mode`)]
}

function validateProjected(sources: readonly VolumeProjection[] | undefined, path: string): FieldError[] {
  return each(path, sources, (source, sourcePath) => {
    const kinds = Object.entries(source).filter(([, value]) => value !== undefined && value !== null).map(([key]) => key)
    const errors = kinds.slice(1).map(kind => forbidden(`${sourcePath}.${kind}`, 'may not specify more than 1 volume type'))
    if (kinds.length === 0) errors.push(required(sourcePath, 'must specify a volume type'))
    if (source.secret) errors.push(...(source.secret.name ? [] : [required(`${sourcePath}.secret.name`)]), ...validateItems(source.secret, `${sourcePath}.secret`))
    if (source.configMap) errors.push(...(source.configMap.name ? [] : [required(`${sourcePath}.configMap.name`)]), ...validateItems(source.configMap, `${sourcePath}.configMap`))
    if (source.downwardAPI) errors.push(...each(`${sourcePath}.downwardAPI.items`, source.downwardAPI.items, validateDownwardFile))
    const token = source.serviceAccountToken
    if (token && (token.expirationSeconds ?? 3600) < 600) errors.push(invalid(`${sourcePath}.serviceAccountToken.expirationSeconds`, token.expirationSeconds, 'may not specify a duration less than 10 minutes'))
    if (token) errors.push(...(token.path ? validateLocalPath(token.path, `${sourcePath}.serviceAccountToken.path`) : [required(`${sourcePath}.serviceAccountToken.path`)]))
    return errors
  })
}

const backsteps = (value: string, path: string): FieldError[] =>
  value.split('/').includes('..') ? [invalid(path, value, "must not contain '..'")] : []

export const validateRelativePath = (value: string, path: string): FieldError[] => [
  ...(value.startsWith('/') ? [invalid(path, value, 'must be a relative path')] : []),
  ...backsteps(value, path),
]

/** A file's path inside a volume: names starting with two dots are the volume writer's own. */
const validateLocalPath = (value: string, path: string): FieldError[] => [
  ...validateRelativePath(value, path),
  ...(value.startsWith('..') && !value.startsWith('../') && value !== '..' ? [invalid(path, value, "must not start with '..'")] : []),
]
