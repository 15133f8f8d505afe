// Allocation: which bands values come from, full ranges, and that no sequence of writes holds a value
// twice or leaks one.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Service } from '#api/core/v1.ts'
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import { Machinery, refusals, Refused } from '../testing.ts'
import { clusterIpBand, nodePortBand } from './allocation.ts'
import { services } from './strategy.ts'

const service = (name: string, spec: Partial<Service['spec']> = {}) => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } })

test('the bands of KEP-3070 and KEP-3668', () => {
  const cidrs: [string, number][] = [['10.96.0.0/12', 256], ['10.0.0.0/16', 256], ['10.0.0.0/20', 256], ['10.0.0.0/24', 16], ['10.0.0.0/27', 16], ['10.0.0.0/28', 0], ['10.0.0.0/30', 0]]
  for (const [cidr, band] of cidrs) assert.equal(clusterIpBand(parseCidr(cidr)!), band, cidr)
  const ranges: [number, number, number][] = [[30000, 32767, 86], [1, 32767, 128], [30000, 30100, 16], [30000, 30015, 0], [30000, 30000, 0]]
  for (const [from, to, band] of ranges) assert.equal(nodePortBand({ from, to }), band, `${from}-${to}`)
})

test('chosen values come from the upper band, then from the lower, then there are none', () => {
  const machinery = new Machinery({ serviceCidr: parseCidr('10.9.8.0/27')!, serviceNodePortRange: { from: 30000, to: 30031 } })
  const made = Array.from({ length: 30 }, (_, i) => machinery.create(services, service(`s${i}`, { type: 'NodePort' })))
  const hosts = made.map(({ spec }) => Number(spec.clusterIP!.split('.')[3]))
  const ports = made.map(({ spec }) => spec.ports![0]!.nodePort!)
  // Of .1 to .30 the first 16 are the lower band; of 30000 to 30031 the first 16.
  assert.ok(hosts.slice(0, 14).every(host => host >= 17 && host <= 30), String(hosts))
  assert.ok(hosts.slice(14).every(host => host >= 1 && host <= 16), String(hosts))
  assert.ok(ports.slice(0, 16).every(port => port >= 30016), String(ports))
  assert.equal(new Set(hosts).size, 30)
  assert.deepEqual(refusals(services as never, service('late'), machinery), ['spec.clusterIPs: Internal error: failed to allocate a serviceIP: range is full'])
  machinery.delete(services, made[3]!)
  assert.equal(machinery.create(services, service('later')).spec.clusterIP, made[3]!.spec.clusterIP)
})

test('a choice is repeatable, and differs between Services', () => {
  const ipOf = (name: string) => new Machinery().create(services, service(name)).spec.clusterIP
  assert.equal(ipOf('a'), ipOf('a'))
  const ips = Array.from({ length: 50 }, (_, i) => ipOf(`s${i}`))
  assert.equal(new Set(ips).size, 50)
})

test('another writer was faster: the next call chooses another value', () => {
  const machinery = new Machinery()
  const first = machinery.create(services, service('a'))
  machinery.reservations.set(`clusterips/${first.spec.clusterIP}`, 'default/b')
  const again = new Machinery()
  again.reservations.set(`clusterips/${first.spec.clusterIP}`, 'default/b')
  assert.notEqual(again.create(services, service('a')).spec.clusterIP, first.spec.clusterIP)
})

test('an object that is asked about again holds what it held', () => {
  const machinery = new Machinery()
  const made = machinery.create(services, service('lb', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }))
  const { held, errors } = services.reserve!(structuredClone(made), made, machinery.context, { has: () => false })
  assert.deepEqual(errors, [])
  assert.deepEqual(held.map(({ key }) => key).sort(), [...machinery.reservations.keys()].sort())
  assert.equal(held.length, 3)
})

/** mulberry32. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('random writes', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  test(`never hold a value twice and leak nothing (SEED=${seed})`, () => {
    const next = random(seed), pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!
    const serviceCidr = parseCidr('10.9.8.0/26')!, range = { from: 30000, to: 30047 }
    const machinery = new Machinery({ serviceCidr, serviceNodePortRange: range })
    const live = new Map<string, Service>()
    const spec = (): Partial<Service['spec']> => {
      const type = pick(['ClusterIP', 'NodePort', 'NodePort', 'LoadBalancer', 'ExternalName'])
      const wanted = next() < 0.3 && type !== 'ClusterIP' && type !== 'ExternalName' ? 30000 + Math.floor(next() * 50) : undefined
      const ports = [{ name: 'a', port: 53, protocol: 'UDP', ...(wanted && { nodePort: wanted }) }, { name: 'b', port: next() < 0.5 ? 53 : 80, protocol: 'TCP' }]
      return { type, ports: ports.slice(0, pick([1, 2])), ...(type === 'ExternalName' && { externalName: 'a.example' }),
        ...(type === 'LoadBalancer' && { externalTrafficPolicy: pick(['Local', 'Cluster']), allocateLoadBalancerNodePorts: pick([true, false]) }),
        ...(type === 'ClusterIP' && next() < 0.3 && { clusterIP: pick(['None', '10.9.8.7', '10.9.8.8']) }) }
    }
    for (let step = 0; step < 1500; step++) {
      const name = `s${Math.floor(next() * 40)}`, old = live.get(name)
      try {
        if (!old) live.set(name, machinery.create(services, service(name, spec())))
        else if (next() < 0.3) { machinery.delete(services, old); live.delete(name) }
        else live.set(name, machinery.update(services, old, draft => {
          const { clusterIP: _, ...rest } = spec()
          draft.spec = { ...rest, ...(next() < 0.5 && { clusterIP: old.spec.clusterIP, clusterIPs: old.spec.clusterIPs }) } as Service['spec']
        }))
      } catch (error) { if (!(error instanceof Refused)) throw error }
      assertConsistent(machinery, [...live.values()], `step ${step}, SEED=${seed}`)
    }
    for (const object of live.values()) machinery.delete(services, object)
    assert.equal(machinery.reservations.size, 0, `leaked with SEED=${seed}`)
  })

  function assertConsistent(machinery: Machinery, live: readonly Service[], when: string): void {
    const held = new Map<string, string>()
    const hold = (key: string, owner: string) => {
      assert.ok((held.get(key) ?? owner) === owner, `${key} is held by ${held.get(key)} and ${owner} at ${when}`)
      held.set(key, owner)
    }
    for (const { metadata: { name }, spec } of live) {
      const owner = `default/${name}`
      for (const ip of spec.clusterIPs ?? []) if (ip !== 'None') {
        assert.ok(contains(machinery.context.settings.serviceCidr, parseIp(ip)!), `${ip} at ${when}`)
        hold(`clusterips/${ip}`, owner)
      }
      for (const port of spec.ports ?? []) if (port.nodePort) hold(`nodeports/${port.nodePort}`, owner)
      if (spec.healthCheckNodePort) hold(`nodeports/${spec.healthCheckNodePort}`, owner)
      // Only one port number of two protocols may share a node port.
      const [a, b] = spec.ports ?? []
      if (a?.nodePort && b && a.port !== b.port) assert.notEqual(a.nodePort, b.nodePort, `${name} at ${when}`)
      for (const { nodePort } of spec.ports ?? []) assert.ok(!nodePort || nodePort !== spec.healthCheckNodePort, `${name} at ${when}`)
    }
    assert.deepEqual([...machinery.reservations].sort(), [...held].sort(), when)
  }
})
