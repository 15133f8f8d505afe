import assert from 'node:assert/strict'
import { test } from 'node:test'
import { desiredPorts, ProxyState } from '../state.ts'
import type { NodeOptions } from '../dataplane.ts'
import { Objects, RandomObjects } from '../random.ts'
import { addressBytes, frontendKey, slotValue } from './layout.ts'
import { readBack } from './readback.ts'
import { ArrayFull } from './ranges.ts'
import { roomFor, Tables, type Operations } from './tables.ts'
import { nodeAddresses, translations, type Translation } from './translations.ts'

/** Maps as a program finds them; every single step of a change can be looked at. */
class FakeMaps {
  readonly #tables = { members: new Map<string, Buffer>(), slots: new Map<string, Buffer>(), ports: new Map<string, Buffer>(), frontends: new Map<string, Buffer>(), addresses: new Map<string, Buffer>() }
  steps = 0
  write({ puts, deletes }: Operations, look: () => void = () => {}): void {
    for (const name of ['members', 'slots', 'ports', 'addresses', 'frontends'] as const) {
      puts[name].keys.forEach((key, i) => { this.#tables[name].set(key.toString('latin1'), puts[name].values[i]!); this.steps++; look() })
    }
    for (const name of ['frontends', 'addresses', 'members'] as const) {
      for (const key of deletes[name]) { assert.ok(this.#tables[name].delete(key.toString('latin1')), `deletes what is in ${name}`); this.steps++; look() }
    }
  }
  /** Where a process that asks for the address may be led. */
  endpoints(frontend: Buffer): string[] | undefined {
    const index = this.#tables.frontends.get(frontend.toString('latin1'))
    if (!index) return undefined
    const port = this.#tables.ports.get(index.toString('latin1'))!
    return Array.from({ length: port.readUInt32LE(4) }, (_, i) => {
      const key = Buffer.alloc(4)
      key.writeUInt32LE(port.readUInt32LE(0) + i)
      const slot = this.#tables.slots.get(key.toString('latin1'))!
      assert.equal(slot.readUInt32LE(8), index.readUInt32LE(0), 'the owner')
      return `${slot.subarray(0, 4).join('.')}:${slot.readUInt16BE(4)}`
    })
  }
  lines(): string[] {
    const entries = (name: 'frontends' | 'addresses') => [...this.#tables[name]].map(([key, value]) => [Buffer.from(key, 'latin1'), value] as const)
    const at = (name: 'ports' | 'slots', index: number) => { const key = Buffer.alloc(4); key.writeUInt32LE(index); return this.#tables[name].get(key.toString('latin1'))! }
    return readBack({ frontends: entries('frontends'), addresses: entries('addresses'), members: [...this.#tables.members.keys()].map(key => Buffer.from(key, 'latin1')),
      port: index => at('ports', index), slot: index => at('slots', index) }, 4)
  }
}

const room = roomFor([])
const options: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: '10.244.0.0/16' }, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined }
const translation = (endpoints: string[], more: Partial<Translation> = {}): Translation => ({ key: 'a', protocol: 'TCP', affinitySeconds: 0,
  frontends: [{ ip: '10.96.0.1', port: 80 }], endpoints: endpoints.map(ip => ({ ip, port: 80 })), ...more })
const frontend = frontendKey({ ip: '10.96.0.1', port: 80, protocol: 'TCP' }, 4)

test('bytes as the kernel has them', () => {
  assert.equal(frontend.toString('hex'), '0a60000100500600')
  assert.equal(slotValue({ ip: '10.244.1.2', port: 9376 }, 7, 4).toString('hex'), '0af4010224a0000007000000')
  assert.equal(addressBytes('fd00:109::101', 6).toString('hex'), 'fd000109000000000000000000000101')
})

test('an endpoint more or less is its slots and one word; programs see the old or the new at each step', () => {
  const tables = new Tables(4, room), maps = new FakeMaps()
  const set = (endpoints: string[], now: number) => {
    tables.set('a', translation(endpoints), now)
    const seen = new Set<string>()
    maps.steps = 0
    maps.write(tables.take().operations, () => seen.add(maps.endpoints(frontend)?.join() ?? 'none'))
    return { steps: maps.steps, seen: [...seen] }
  }
  assert.deepEqual(set(['10.0.0.1', '10.0.0.2'], 0).seen, ['none', '10.0.0.1:80,10.0.0.2:80'])
  assert.deepEqual(set(['10.0.0.1', '10.0.0.2', '10.0.0.3'], 1), { steps: 4, seen: ['10.0.0.1:80,10.0.0.2:80', '10.0.0.1:80,10.0.0.2:80,10.0.0.3:80'] })
  assert.deepEqual(set(['10.0.0.3'], 2), { steps: 2, seen: ['10.0.0.1:80,10.0.0.2:80,10.0.0.3:80', '10.0.0.3:80'] })
  assert.deepEqual(set([], 3), { steps: 1, seen: [''] })
  assert.deepEqual(set(['10.0.0.9'], 4).seen, ['', '10.0.0.9:80'])
  tables.set('a', undefined, 5)
  maps.write(tables.take().operations)
  assert.deepEqual(maps.lines(), [])
})

test('of two that want one address the first by name has it, and the other when that goes', () => {
  const tables = new Tables(4, room), maps = new FakeMaps()
  const apply = () => { maps.write(tables.take().operations); return maps.endpoints(frontend) }
  tables.set('b', translation(['10.0.0.2'], { key: 'b' }), 0)
  assert.deepEqual(apply(), ['10.0.0.2:80'])
  tables.set('a', translation(['10.0.0.1']), 0)
  assert.deepEqual(apply(), ['10.0.0.1:80'])
  tables.set('a', undefined, 0)
  assert.deepEqual(apply(), ['10.0.0.2:80'])
})

test('UDP sockets are looked after only when an endpoint or its address went', () => {
  const tables = new Tables(4, room)
  const lost = (now: Translation | undefined) => { tables.set('a', now, 0); return tables.take().lost }
  const udp = (endpoints: string[], more: Partial<Translation> = {}) => translation(endpoints, { protocol: 'UDP', ...more })
  assert.equal(lost(udp(['10.0.0.1'])), false)
  assert.equal(lost(udp(['10.0.0.1', '10.0.0.2'])), false)
  assert.equal(lost(udp(['10.0.0.1', '10.0.0.2'], { affinitySeconds: 5 })), false)
  assert.equal(tables.leads({ ip: '10.96.0.1', port: 80 }, { ip: '10.0.0.1', port: 80 }, 'UDP'), true)
  assert.equal(lost(udp(['10.0.0.2'])), true)
  assert.equal(tables.leads({ ip: '10.96.0.1', port: 80 }, { ip: '10.0.0.1', port: 80 }, 'UDP'), false)
  assert.equal(lost(undefined), true)
})

test('room that does not do is an error, not a wrong entry', () => {
  const tables = new Tables(4, { frontends: 10, ports: 2, slots: 4, members: 10 })
  tables.set('a', translation(['10.0.0.1', '10.0.0.2']), 0)
  assert.throws(() => tables.set('b', translation(['10.0.0.1', '10.0.0.2', '10.0.0.3'], { key: 'b' }), 0), ArrayFull)
})

test('after any changes the maps are those of a fresh load', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9), random = new RandomObjects(seed), objects = new Objects()
  const state = new ProxyState({ nodeName: 'n0', family: 4 }), tables = new Tables(4, room), maps = new FakeMaps()
  let before = new Map<string, Translation>(), time = 0
  for (let i = 0; i < 600; i++) {
    const change = random.change()
    objects.apply(change)
    state.applyChange(change)
    if (i % 3) continue
    const now = new Map(state.ports().flatMap(port => translations(port, options)).map(one => [one.key, one]))
    time += i % 5 === 0 ? 200 : 1
    for (const key of before.keys()) if (!now.has(key)) tables.set(key, undefined, time)
    for (const [key, one] of now) tables.set(key, one, time)
    tables.setAddresses(nodeAddresses(options, i % 2 ? ['192.168.109.101'] : ['192.168.109.101', '10.244.1.1']))
    if (i % 50 === 0) tables.again()
    maps.write(tables.take().operations)
    before = now
    const fresh = new Tables(4, room), freshMaps = new FakeMaps()
    for (const port of desiredPorts(objects, { nodeName: 'n0', family: 4 })) for (const one of translations(port, options)) fresh.set(one.key, one, 0)
    fresh.setAddresses(nodeAddresses(options, i % 2 ? ['192.168.109.101'] : ['192.168.109.101', '10.244.1.1']))
    freshMaps.write(fresh.take().operations)
    assert.deepEqual(maps.lines(), freshMaps.lines(), `SEED=${seed} after ${i + 1} changes`)
  }
})
