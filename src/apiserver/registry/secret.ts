// Secrets: base64 values under file-like keys; `stringData` is folded in on every write. Each known type
// names the keys that must be there.
import type { Secret } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { forbidden, immutable, invalid, invalids, required, tooLong } from './fields.ts'
import { configMapKey, dns1123Subdomain } from './names.ts'
import type { FieldError } from './strategy.ts'

const maximum = 1024 * 1024
const hidden = '<secret contents redacted>'
const needed: Record<string, readonly string[]> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

export const secrets = define<Secret>({
  resource: resources.secrets,
  name: dns1123Subdomain,
  defaults(draft) {
    if (draft.stringData) {
      draft.data = { ...draft.data, ...Object.fromEntries(Object.entries(draft.stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')])) }
      delete draft.stringData
    }
    draft.type ||= 'Opaque'
  },
  prepareForUpdate(draft, old) { if (!draft.type) draft.type = old.type! },
  validate(secret) {
    const data = secret.data ?? {}
    const size = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, 'base64'), 0)
    return [
      ...Object.keys(data).flatMap(key => invalids(`data[${key}]`, key, configMapKey(key))),
      ...(size > maximum ? [tooLong('data', maximum)] : []),
      ...validateType(secret, data),
    ]
  },
  validateUpdate(secret, old) {
    return [
      ...(secret.type === old.type ? [] : [invalid('type', secret.type, immutable)]),
      ...(old.immutable ? frozen(secret, old) : []),
    ]
  },
  selectableFields: secret => ({ type: secret.type ?? '' }),
  columns: [
    { name: 'Type', description: 'What the keys mean.', value: secret => secret.type ?? '' },
    { name: 'Data', type: 'integer', description: 'Number of keys.', value: secret => Object.keys(secret.data ?? {}).length },
  ],
})

function frozen(secret: Secret, old: Secret): FieldError[] {
  return [
    ...(secret.immutable ? [] : [forbidden('immutable', 'field is immutable when `immutable` is set')]),
    ...(equal(secret.data ?? {}, old.data ?? {}) ? [] : [forbidden('data', 'field is immutable when `immutable` is set')]),
  ]
}

function validateType(secret: Secret, data: Record<string, string>): FieldError[] {
  const type = secret.type ?? ''
  if (type === 'kubernetes.io/service-account-token') {
    const annotation = 'kubernetes.io/service-account.name'
    return secret.metadata.annotations?.[annotation] ? [] : [required(`metadata.annotations[${annotation}]`)]
  }
  if (type === 'kubernetes.io/basic-auth') {
    return data.username !== undefined || data.password !== undefined ? [] : [required('data[username]'), required('data[password]')]
  }
  return (needed[type] ?? []).flatMap(key =>
    data[key] === undefined ? [required(`data[${key}]`)]
      : key.startsWith('.docker') && !isJson(data[key]) ? [invalid(`data[${key}]`, hidden, 'invalid character in JSON')]
        : [])
}

function isJson(base64: string): boolean {
  try { JSON.parse(Buffer.from(base64, 'base64').toString()); return true } catch { return false }
}
