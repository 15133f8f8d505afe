// What is true of metadata for every kind: ValidateObjectMeta and ValidateObjectMetaUpdate.
import type { KubeObject } from '#api/object.ts'
import type { ObjectMeta, OwnerReference } from '#api/meta/v1.ts'
import { equal } from '#lib/equal.ts'
import { each, forbidden, immutable, invalid, invalids, required } from './fields.ts'
import { validateAnnotations, validateLabels } from './labels.ts'
import { asPrefix, dns1123Label, qualifiedNameErrors } from './names.ts'
import type { NameCheck } from './names.ts'
import type { FieldError } from './strategy.ts'

const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion']

export function validateMetadata(meta: ObjectMeta, options: { namespaced: boolean; name: NameCheck; path?: string }): FieldError[] {
  const path = options.path ?? 'metadata'
  return [
    ...(meta.generateName ? invalids(`${path}.generateName`, meta.generateName, asPrefix(options.name)(meta.generateName)) : []),
    ...(meta.name ? invalids(`${path}.name`, meta.name, options.name(meta.name)) : [required(`${path}.name`, 'name or generateName is required')]),
    ...validateNamespace(meta.namespace, `${path}.namespace`, options.namespaced),
    ...(meta.generation !== undefined && meta.generation < 0 ? [invalid(`${path}.generation`, meta.generation, 'must be greater than or equal to 0')] : []),
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwnerReferences(meta.ownerReferences, `${path}.ownerReferences`),
    ...validateFinalizers(meta.finalizers, `${path}.finalizers`),
  ]
}

function validateNamespace(namespace: string | undefined, path: string, namespaced: boolean): FieldError[] {
  if (!namespaced) return namespace ? [forbidden(path, 'not allowed on this type')] : []
  return namespace ? invalids(path, namespace, dns1123Label(namespace)) : [required(path)]
}

function validateOwnerReferences(owners: readonly OwnerReference[] | undefined, path: string): FieldError[] {
  const controllers = (owners ?? []).filter(owner => owner.controller)
  return [
    ...each(path, owners, (owner, ownerPath) => [
      ...(owner.apiVersion ? [] : [invalid(`${ownerPath}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty')]),
      ...(['kind', 'name', 'uid'] as const).flatMap(key => owner[key] ? [] : [invalid(`${ownerPath}.${key}`, owner[key] ?? '', 'must not be empty')]),
    ]),
    ...(controllers.length > 1 ? [invalid(path, owners,
      `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]!.name} and ${controllers[1]!.name}`)] : []),
  ]
}

export const validateFinalizers = (finalizers: readonly string[] | undefined, path: string): FieldError[] =>
  (finalizers ?? []).flatMap(finalizer => {
    const errors = invalids(path, finalizer, qualifiedNameErrors(finalizer))
    return errors.length > 0 || finalizer.includes('/') || standardFinalizers.includes(finalizer) ? errors
      : [invalid(path, finalizer, 'name is neither a standard finalizer name nor is it fully qualified')]
  })

const immutableKeys = ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const

/** What an update may not change; fields that the client left out keep their old value and are no change. */
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const { metadata: meta } = object
  const added = old.metadata.deletionTimestamp
    ? (meta.finalizers ?? []).filter(finalizer => !old.metadata.finalizers?.includes(finalizer)) : []
  return [
    ...immutableKeys.flatMap(key => meta[key] === undefined || equal(meta[key], old.metadata[key]) ? []
      : [invalid(`metadata.${key}`, meta[key], immutable)]),
    ...(added.length > 0 ? [forbidden('metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map(name => `"${name}"`).join(', ')}}`)] : []),
  ]
}
