import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { Answer } from '../../plugin.ts'
import { ask } from '../../testing.ts'
import { Query } from '../../query.ts'
import { labels, type Name } from '../../wire/name.ts'
import { canonical, dashed, fromDashed, fromReverse, ip4, reverseName } from './address.ts'
import { Catalog } from './catalog.ts'
import { brief, clusterOf, externalName, fill, namespace, pod, question, service, slice } from './testing.ts'

/** mulberry32 */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return sides => {
    state = state + 0x6d2b79f5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) % sides
  }
}
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)

/** A small world that changes at random: few names, so that everything meets everything. */
class World {
  readonly services = new Map<string, Service>()
  readonly slices = new Map<string, EndpointSlice>()
  readonly namespaces = new Map<string, Namespace>()
  readonly pods = new Map<string, Pod>()
  readonly #roll: (sides: number) => number
  constructor(roll: (sides: number) => number) { this.#roll = roll }
  #pick<T>(from: readonly T[]): T { return from[this.#roll(from.length)]! }
  #ip(): string { return this.#pick(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.1.1', 'fd00::1', 'fd00::2']) }

  change(catalog: Catalog): void {
    const ns = this.#pick(['a', 'b']), name = this.#pick(['x', 'y', 'z']), kind = this.#roll(10)
    if (kind < 4) this.#set(this.services, `${ns}/${name}`, this.#service(`${ns}/${name}`), (old, now) => catalog.changeService(old, now))
    else if (kind < 8) this.#set(this.slices, `${ns}/${name}-${ns}`, this.#slice(`${ns}/${name}-${ns}`), (old, now) => catalog.changeSlice(old, now))
    else if (kind < 9) this.#set(this.namespaces, ns, this.#roll(3) ? namespace(ns) : undefined, (old, now) => catalog.changeNamespace(old, now))
    else this.#set(this.pods, `${ns}/${name}`, this.#roll(3) ? pod(`${ns}/${name}`, `${this.#ip()},${this.#ip()}`) : undefined, (old, now) => catalog.changePod(old, now))
  }
  #set<T>(all: Map<string, T>, key: string, now: T | undefined, change: (old: T | undefined, now: T | undefined) => void): void {
    const old = all.get(key)
    if (!old && !now) return
    if (now) all.set(key, now)
    else all.delete(key)
    change(old, now)
  }
  #service(path: string): Service | undefined {
    switch (this.#roll(5)) {
      case 0: return undefined
      case 1: return externalName(path, `${this.#pick(['x', 'y', 'z'])}.${this.#pick(['a', 'b'])}.svc.cluster.local`)
      case 2: return service(path, 'None', 'http:80')
      case 3: return service(path, `10.96.0.${this.#roll(3)}`, this.#pick(['http:80', ':80', 'http:80 dns/UDP:53', '']))
      default: return service(path, `10.96.0.${this.#roll(3)},fd00:96::${this.#roll(3)}`, 'http:80', { externalIPs: [this.#ip()] })
    }
  }
  #slice(path: string): EndpointSlice | undefined {
    if (this.#roll(4) === 0) return undefined
    const endpoints = Array.from({ length: this.#roll(4) }, () => `${this.#pick(['', '', '!'])}${this.#pick(['', '', 'h=', 'g='])}${this.#ip()}`)
    return slice(path, this.#pick(['x', 'y', 'z']), endpoints.join(' '), this.#pick(['http:8080', 'http:8081 dns/UDP:53', '']))
  }

  everything() { return { services: [...this.services.values()], slices: [...this.slices.values()], namespaces: [...this.namespaces.values()], pods: [...this.pods.values()] } }
}

const questions = (() => {
  const names = ['a.svc', 'b.svc', 'a.pod', '10-0-0-1.a.pod', 'fd00--1.b.pod', ...['x', 'y', 'z'].flatMap(name => ['a', 'b'].flatMap(ns => ['', 'h.', '10-0-0-1.', 'fd00--1.', '_http._tcp.', '_dns._udp.'].map(before => `${before}${name}.${ns}.svc`)))]
  const reverse = ['10.0.0.1', '10.0.0.2', '10.96.0.0', '10.96.0.1', '10.96.0.2', 'fd00::1', 'fd00:96::1'].map(ip => `${labels(reverseName(ip)).join('.')}. PTR`)
  return [...names.flatMap(name => ['A', 'AAAA', 'SRV', 'CNAME'].map(type => `${name} ${type}`)), ...reverse]
})()

test('after any changes the answers are those of a fresh start', () => {
  for (let round = 0; round < 30; round++) {
    const roll = dice(seed + round), world = new World(roll)
    const lines = 'kubernetes cluster.local in-addr.arpa ip6.arpa {\n ttl 30\n pods verified\n}'
    const { instance, catalog } = clusterOf(lines, {})
    for (let step = 0; step < 40; step++) {
      for (let n = roll(8); n >= 0; n--) world.change(catalog)
      const fresh = clusterOf(lines, world.everything()).instance
      for (const text of step % 8 ? [questions[roll(questions.length)]!, questions[roll(questions.length)]!] : questions) {
        const query = question(text)
        const [got, expected] = [instance, fresh].map(from => brief(from.resolver.answer(query) as Answer, query))
        assert.equal(got, expected, `${text} (SEED=${seed}, round ${round}, step ${step})`)
      }
    }
    for (const all of [world.services, world.slices, world.namespaces, world.pods]) all.clear()
  }
})

test('nothing stays when everything is gone', () => {
  const roll = dice(seed), world = new World(roll), catalog = new Catalog({ now: () => 0 })
  for (let n = 0; n < 2000; n++) world.change(catalog)
  for (const object of world.services.values()) catalog.changeService(object, undefined)
  for (const object of world.slices.values()) catalog.changeSlice(object, undefined)
  for (const object of world.pods.values()) catalog.changePod(object, undefined)
  for (const object of world.namespaces.values()) catalog.changeNamespace(object, undefined)
  assert.deepEqual(catalog.sizes(), { entries: 0, namespaces: 0, clusterIps: 0, endpointIps: 0, externalIps: 0, podIps: 0 }, `SEED=${seed}`)
})

test('a change costs what its own Service costs: with 10,000 others it is as cheap as with 10', () => {
  const cost = (others: number) => {
    const { catalog, instance } = clusterOf('kubernetes cluster.local', {})
    fill(catalog, {
      services: Array.from({ length: others }, (_, i) => service(`default/s${i}`, `10.${96 + (i >> 16)}.${i >> 8 & 255}.${i & 255}`, 'http:80')),
      slices: Array.from({ length: others }, (_, i) => slice(`default/s${i}-a`, `s${i}`, `10.244.${i >> 8 & 255}.${i & 255}`, 'http:80')),
    })
    for (let i = 0; i < others; i++) instance.resolver.answer(ask(`s${i}.default.svc.cluster.local`))
    catalog.changeService(undefined, service('default/own', 'None', 'http:80'))
    const query = ask('own.default.svc.cluster.local')
    let old: EndpointSlice | undefined
    const versions = Array.from({ length: 3000 }, (_, i) => slice('default/own-a', 'own', `10.9.${i >> 8}.${i & 255}`, 'http:80'))
    const times = versions.map(now => {
      const began = performance.now()
      catalog.changeSlice(old, now)
      const answer = instance.resolver.answer(query) as Answer
      const took = performance.now() - began
      assert.ok(brief(answer, query, 5).endsWith(now.endpoints![0]!.addresses[0]!))
      old = now
      return took
    }).sort((a, b) => a - b)
    return times[times.length >> 1]! * 1000
  }
  cost(10) // warms up
  const few = cost(10), manyOthers = cost(10_000)
  assert.ok(manyOthers < 3 * few + 20, `${manyOthers.toFixed(1)} us with 10,000 Services, ${few.toFixed(1)} us with 10`)
})

test('any name and type is answered or passed on, in bounded time', () => {
  const roll = dice(seed)
  const { instance } = clusterOf('kubernetes cluster.local in-addr.arpa ip6.arpa {\n pods insecure\n}', { namespaces: [namespace('default')], services: [service('default/web', '10.96.0.1', 'http:80'), externalName('default/x', 'web.default.svc.cluster.local')] })
  const words = ['web', 'default', 'svc', 'pod', 'cluster', 'local', '_http', '_tcp', 'dns-version', 'ns', 'dns', 'in-addr', 'ip6', 'arpa', '10', '1-2-3-4', '__proto__', 'constructor', '-', '_', 'ff--', 'x']
  for (let n = 0; n < 20_000; n++) {
    let name = ''
    for (let count = roll(n % 50 ? 7 : 60); count > 0; count--) {
      const label = roll(3) ? words[roll(words.length)]! : Array.from({ length: 1 + roll(roll(10) ? 4 : 63) }, () => String.fromCharCode(roll(256))).join('')
      if (name.length + label.length < 220) name += String.fromCharCode(label.length) + label
    }
    name += ['\x05local\0', '\x07cluster\x05local\0', '\x03svc\x07cluster\x05local\0', '\x07in-addr\x04arpa\0', '\x03ip6\x04arpa\0', '\0'][roll(6)]!
    const query = Query.make(name as Name, roll(4) ? [1, 28, 33, 12, 16, 5][roll(6)]! : roll(65_536))
    const answer = instance.resolver.answer(query)
    if (answer) brief(answer as Answer, query)
  }
})

test('addresses as texts, bytes and names', () => {
  const good: [string, number][] = [['0.0.0.0', 0], ['1.2.3.4', 0x01020304], ['255.255.255.255', 0xffffffff], ['10.0.0.10', 0x0a00000a]]
  for (const [text, value] of good) assert.equal(ip4(text), value, text)
  for (const text of ['', '1', '1.2.3', '1.2.3.', '.1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.04', '1..2.3', ' 1.2.3.4', '1.2.3.4 ', 'a.b.c.d', '1.2.3.-4', '00.0.0.0']) assert.equal(ip4(text), -1, text)
  assert.equal(canonical('2001:DB8:0::1'), '2001:db8::1')
  for (const ip of ['10.96.0.20', '2001:db8::1', '::', 'ff::']) assert.equal(fromReverse(reverseName(ip)), ip)
  assert.deepEqual(['10.0.0.1', '2001:db8::1', '2001:db8::', '::1'].map(dashed), ['10-0-0-1', '2001-db8--1', '2001-db8--0', '--1'])
  assert.deepEqual(['10-0-0-1', '2001-db8--1', '2001-db8--0', '--1', '1-2-3', 'web', '1-2-3-999', '1-2-3-4-5-6-7-8'].map(fromDashed), ['10.0.0.1', '2001:db8::1', '2001:db8::', '::1', undefined, undefined, undefined, '1:2:3:4:5:6:7:8'])
})
