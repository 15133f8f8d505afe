// The `components.schemas` of an OpenAPI 3.0 document, made from the type facts: names, formats and
// x-kubernetes extensions as kube-openapi writes them. Paths are in openapi-paths.ts.
import { descriptionOf } from './descriptions.ts'
import type { FieldSchema, StructSchema, ValueSchema } from './schema.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export interface JsonObject { [key: string]: Json }

export interface GroupVersionKind { readonly group: string; readonly version: string; readonly kind: string }

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const packages: Record<string, string> = { 'meta/v1': meta, 'apiextensions/v1': 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1' }

/** `core/v1` `Pod` to `io.k8s.api.core.v1.Pod`. */
export const componentName = (packageName: string, name: string): string =>
  `${packages[packageName] ?? `io.k8s.api.${packageName.replace('/', '.')}`}.${name}`

export const refTo = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` })

/** Types that are not structs of fields, by their value kind. */
const leaves: Partial<Record<ValueSchema['kind'], { name: string; schema: JsonObject }>> = {
  quantity: { name: 'io.k8s.apimachinery.pkg.api.resource.Quantity', schema: {
    description: 'An amount with a unit: 100m, 1.5Gi, 2e3.', oneOf: [{ type: 'string' }, { type: 'number' }] } },
  intOrString: { name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString', schema: {
    description: 'A number, or a text such as a port name or a percentage.', format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] } },
  time: { name: `${meta}.Time`, schema: { description: 'A time as RFC 3339 writes it, in whole seconds.', type: 'string', format: 'date-time' } },
  microTime: { name: `${meta}.MicroTime`, schema: { description: 'A time as RFC 3339 writes it, with microseconds.', type: 'string', format: 'date-time' } },
  duration: { name: `${meta}.Duration`, schema: { description: 'A length of time: 1h30m, 10s.', type: 'string' } },
  raw: { name: 'io.k8s.apimachinery.pkg.runtime.RawExtension', schema: { description: 'Any object.', type: 'object' } },
  fieldsV1: { name: `${meta}.FieldsV1`, schema: { description: 'A set of fields, as server-side apply records it.', type: 'object' } },
}

// The named strings that take no other values than the known ones (+enum upstream); all others are open.
const closed = new Set(('PersistentVolumeReclaimPolicy PersistentVolumeMode PersistentVolumeAccessMode HostPathType Protocol MountPropagationMode '
  + 'URIScheme PullPolicy PreemptionPolicy TerminationMessagePolicy PodPhase RestartPolicy DNSPolicy NodeSelectorOperator TaintEffect TolerationOperator '
  + 'UnsatisfiableConstraintAction NodeInclusionPolicy PodFSGroupChangePolicy SupplementalGroupsPolicy SeccompProfileType AppArmorProfileType PodQOSClass '
  + 'ServiceAffinity ServiceType ServiceInternalTrafficPolicy ServiceExternalTrafficPolicy IPFamily IPFamilyPolicy NodePhase NamespacePhase '
  + 'DeploymentStrategyType DaemonSetUpdateStrategyType StatefulSetUpdateStrategyType PodManagementPolicyType AddressType').split(' '))

const integerFormat = ({ bits, unsigned }: ValueSchema): string => unsigned ? (bits === 8 ? 'byte' : 'int64') : `int${bits}`

/** Schemas by name; `add` brings in all that a struct refers to. */
export class Components {
  readonly schemas: JsonObject = {}

  add(struct: StructSchema, kinds: readonly GroupVersionKind[] = []): JsonObject {
    const name = componentName(struct.packageName, struct.name)
    const existing = this.schemas[name] as JsonObject | undefined
    if (existing) {
      if (kinds.length) existing['x-kubernetes-group-version-kind'] = kinds.map(kind => ({ ...kind }))
      return refTo(name)
    }
    const schema: JsonObject = {}
    this.schemas[name] = schema // before the fields: types may contain themselves
    const description = descriptionOf(struct.name)
    if (description) schema.description = description
    schema.type = 'object'
    const required = struct.fields.filter(field => field.required).map(field => field.name)
    if (required.length) schema.required = required
    if (struct.fields.length) {
      schema.properties = Object.fromEntries(struct.fields.map(field => [field.name, this.#property(struct, field)]))
    }
    if (kinds.length) schema['x-kubernetes-group-version-kind'] = kinds.map(kind => ({ ...kind }))
    if (struct.structType) schema['x-kubernetes-map-type'] = struct.structType
    return refTo(name)
  }

  /** A schema of no type of the facts. */
  addPlain(name: string, schema: JsonObject): JsonObject {
    this.schemas[name] ??= schema
    return refTo(name)
  }

  #property(struct: StructSchema, field: FieldSchema): JsonObject {
    const value = this.#value(field.value)
    const isRef = '$ref' in value
    const property: JsonObject = isRef ? { allOf: [value] } : { ...value }
    const description = descriptionOf(`${struct.name}.${field.name}`) ?? commonDescription(field)
    if (description) property.description = description
    const byDefault = defaultOf(field)
    if (byDefault !== undefined) property.default = byDefault
    if (field.patchStrategies.length) property['x-kubernetes-patch-strategy'] = field.patchStrategies.join(',')
    if (field.patchMergeKey) property['x-kubernetes-patch-merge-key'] = field.patchMergeKey
    if (field.listType) property['x-kubernetes-list-type'] = field.listType
    if (field.listMapKeys) property['x-kubernetes-list-map-keys'] = field.listMapKeys
    if (field.mapType) property['x-kubernetes-map-type'] = field.mapType
    return isRef && Object.keys(property).length === 1 ? value : property
  }

  #value(schema: ValueSchema): JsonObject {
    const leaf = leaves[schema.kind]
    if (leaf) return this.addPlain(leaf.name, leaf.schema)
    switch (schema.kind) {
      case 'struct': return this.add(schema.struct!)
      case 'list': return { type: 'array', items: this.#item(schema.item!) }
      case 'map': return { type: 'object', additionalProperties: this.#item(schema.item!) }
      case 'bool': return { type: 'boolean' }
      case 'integer': return { type: 'integer', format: integerFormat(schema) }
      case 'number': return { type: 'number', format: 'double' }
      case 'bytes': return { type: 'string', format: 'byte' }
      case 'string': return schema.values && closed.has(schema.goType.split('.').at(-1)!)
        ? { type: 'string', enum: [...schema.values].sort() } : { type: 'string' }
      default: return {}
    }
  }

  #item(schema: ValueSchema): JsonObject {
    const value = this.#value(schema)
    const byDefault = zeroOf(schema)
    if (byDefault === undefined) return value
    return '$ref' in value ? { allOf: [value], default: byDefault } : { ...value, default: byDefault }
  }
}

const commonDescription = (field: FieldSchema): string | undefined =>
  ['apiVersion', 'kind', 'metadata', 'items'].includes(field.name) ? descriptionOf(`*.${field.name}`) : undefined

/** A default that the facts state, else the zero value where Go has no absence. */
function defaultOf(field: FieldSchema): Json | undefined {
  if (field.default !== undefined && !field.default.startsWith('ref(')) return JSON.parse(field.default) as Json
  if (field.pointer || (field.omitempty && field.value.kind !== 'struct')) return undefined
  return zeroOf(field.value)
}

function zeroOf({ kind }: ValueSchema): Json | undefined {
  switch (kind) {
    case 'string': return ''
    case 'bool': return false
    case 'integer': case 'number': return 0
    case 'struct': return {}
    default: return undefined
  }
}
