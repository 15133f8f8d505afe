// Any object that fits its type, however odd, is accepted or refused with findings: a strategy that
// throws would answer 500. And what was accepted once is a fixed point: sent back unchanged it stays so.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '#api/object.ts'
import { packageName } from '#api/resources.ts'
import types from '#api/kubernetes-types.json' with { type: 'json' }
import { strategies } from './strategies.ts'
import type { Strategy } from './strategy.ts'
import { table } from './table.ts'
import { Machinery, Refused } from './testing.ts'

type Field = { name: string; type: string; inline?: boolean }
type Packages = Record<string, { types: Record<string, { fields: Field[] }>; aliases: Record<string, { base: string; values?: string[] }> }>
const packages = ((types as unknown as { packages?: Packages }).packages ?? types) as Packages

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
let state = seed + 1
/** mulberry32. */
const next = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!
const texts = ['a', 'b', '', 'A b', 'kubernetes.io/x', '10.0.0.1', '::1', '10.0.0.0/24', '50%', '*', '..', '/x', 'None', 'Local', 'ClusterIP', 'LoadBalancer', 'Always', '100Mi', 'é']
const prefixes: Record<string, string> = { metav1: 'meta/v1', v1: 'core/v1', corev1: 'core/v1', apiv1: 'core/v1' }

function value(type: string, home: string, depth: number): unknown {
  if (type === '[]byte') return 'eA=='
  if (type.startsWith('[]')) return Array.from({ length: Math.floor(next() * 3) }, () => value(type.slice(2), home, depth + 1))
  const map = /^map\[[\w.]+\](.*)$/.exec(type)
  if (map) return Object.fromEntries(Array.from({ length: Math.floor(next() * 3) }, () => [pick(texts), value(map[1]!, home, depth + 1)]))
  if (type === 'bool') return next() < 0.5
  if (/^u?int|^float/.test(type)) return pick([0, 1, -1, 80, 30000, 70000])
  if (type.endsWith('IntOrString')) return pick([0, 80, 'http', '25%'])
  if (/Time$|Timestamp$/.test(type)) return '2026-11-21T12:00:00Z'
  if (/RawExtension$|Object$|FieldsV1$/.test(type) && !/LocalObject|TypedObject/.test(type)) return {}
  const [prefix, name] = type.includes('.') ? type.split('.') as [string, string] : [undefined, type]
  const owner = prefix ? prefixes[prefix] ?? home : home
  const alias = packages[owner]?.aliases[name]
  if (alias?.values?.length && next() < 0.8) return pick(alias.values)
  if (alias) return value(alias.base, owner, depth)
  const struct = packages[owner]?.types[name]
  return struct ? object(struct.fields, owner, depth + 1) : pick(texts)
}

function object(fields: readonly Field[], home: string, depth: number): Record<string, unknown> {
  const made: Record<string, unknown> = {}
  for (const field of fields) {
    if (field.inline) Object.assign(made, value(field.type, home, depth) as object)
    else if (field.name && field.name !== '-' && next() < (depth < 3 ? 0.7 : 0.35)) made[field.name] = value(field.type, home, depth)
  }
  return made
}

const options = { now: Date.parse('2026-11-21T13:00:00Z'), includeObject: 'Metadata', resourceVersion: '1', withColumns: true } as const

const podSpec = { containers: [{ name: 'c', image: 'nginx:1', ports: [{ containerPort: 80 }], resources: { limits: { cpu: '0.5' } }, readinessProbe: { tcpSocket: { port: 80 } } }] }
const workload = { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: podSpec } }
/** Specs that are accepted, each to be spoilt in one field. */
const sound: Record<string, object> = { pods: podSpec, deployments: workload, replicasets: workload, statefulsets: workload, daemonsets: workload, services: { ports: [{ port: 80 }], selector: { a: 'b' } } }

const soundWhole: Record<string, object> = {
  endpointslices: { addressType: 'IPv4', endpoints: [{ addresses: ['10.244.0.1'] }], ports: [{ port: 80 }] },
  rolebindings: { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] },
  clusterrolebindings: { roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: [{ kind: 'Group', name: 'g' }] },
}

/** A random object, or a sound one with one field random. */
function manifest(key: string, { resource }: Strategy): KubeObject {
  const home = packageName(resource), metadata = { name: 'n', labels: { a: 'b' }, ...(resource.namespaced && { namespace: 'default' }) }
  const whole = soundWhole[key]
  if (whole && next() < 0.7) {
    const { name, type } = pick(packages[home]!.types[resource.kind]!.fields.filter(field => !field.inline && field.name !== 'metadata'))
    return { ...whole, [name]: value(type, home, 1), metadata } as KubeObject
  }
  if (!sound[key] || next() < 0.3) return { ...object(packages[home]!.types[resource.kind]!.fields, home, 0), metadata }
  const fields = packages[home]!.types[`${resource.kind}Spec`]!.fields.filter(field => !field.inline)
  const { name, type } = pick(fields)
  return { metadata, spec: { ...sound[key], [name]: value(type, home, 1) } } as KubeObject
}

for (const [key, strategy] of strategies) {
  test(`${key}: 200 random objects (SEED=${seed})`, () => {
    for (let i = 0; i < 200; i++) {
      const made = manifest(key, strategy)
      try { exercise(strategy, made) } catch (error) {
        assert.fail(`SEED=${seed} ${JSON.stringify(made)}: ${(error as Error).stack}`)
      }
    }
  })
}

function exercise(strategy: Strategy, manifest: KubeObject): void {
  const machinery = new Machinery()
  const created = unlessRefused(() => machinery.create(strategy, manifest))
  if (!created) return
  strategy.selectableFields?.(created)
  strategy.warnings?.(created, undefined)
  strategy.gracePeriodSeconds?.(created)
  const reported = { ...structuredClone(created), status: structuredClone((manifest as { status?: object }).status ?? {}) } as KubeObject
  strategy.defaults?.(reported)
  const findings = strategy.validateStatusUpdate?.(reported, created, machinery.context) ?? []
  table(strategy, findings.length === 0 ? [created, reported] : [created], options)
  assert.deepEqual(machinery.update(strategy, created, () => {}), created)
  // An update to something else is also only accepted or refused.
  unlessRefused(() => machinery.update(strategy, created, other => Object.assign(other, structuredClone(manifest), { metadata: other.metadata })))
}

function unlessRefused<T>(act: () => T): T | undefined {
  try { return act() } catch (error) { if (error instanceof Refused) return undefined; throw error }
}
