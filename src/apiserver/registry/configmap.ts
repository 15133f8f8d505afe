// ConfigMaps: text and bytes under file-like keys, at most 1 MiB in all, optionally immutable.
import type { ConfigMap } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { forbidden, invalid, invalids, tooLong } from './fields.ts'
import { configMapKey, dns1123Subdomain } from './names.ts'

const maximum = 1024 * 1024

export const configmaps = define<ConfigMap>({
  resource: resources.configmaps,
  name: dns1123Subdomain,
  validate({ data = {}, binaryData = {} }) {
    const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0) +
      Object.values(binaryData).reduce((sum, value) => sum + Buffer.byteLength(value, 'base64'), 0)
    return [
      ...Object.keys(data).flatMap(key => [
        ...invalids(`data[${key}]`, key, configMapKey(key)),
        ...(Object.hasOwn(binaryData, key) ? [invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')] : []),
      ]),
      ...Object.keys(binaryData).flatMap(key => invalids(`binaryData[${key}]`, key, configMapKey(key))),
      ...(size > maximum ? [tooLong('', maximum)] : []),
    ]
  },
  validateUpdate(object, old) {
    if (!old.immutable) return []
    return [
      ...(object.immutable ? [] : [forbidden('immutable', 'field is immutable when `immutable` is set')]),
      ...(['data', 'binaryData'] as const).flatMap(key => equal(object[key] ?? {}, old[key] ?? {}) ? []
        : [forbidden(key, 'field is immutable when `immutable` is set')]),
    ]
  },
  columns: [{ name: 'Data', type: 'integer', description: 'Number of keys.',
    value: object => Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length }],
})
