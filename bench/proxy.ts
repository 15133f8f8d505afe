// What a sync of the Service proxy costs, with the kernel's rules in a network namespace of its own:
//   node bench/proxy.ts [--services 1000,5000,10000] [--flavours nft,legacy] [--changes 20]
// Every Service has two endpoints. "floor" is plain iptables-restore of the same text. Changes are
// counted from the event until iptables-restore has returned: one endpoint replaced, then one
// Service added. CPU includes the tool's. Needs root; nothing else should run on the machine.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { iptables } from '#host/iptables.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { IptablesApplier } from '#proxy/iptables/apply.ts'
import type { RuleOptions } from '#proxy/iptables/options.ts'
import { jumps, ruleGenerator } from '#proxy/iptables/rules.ts'
import { ProxyState, type Change } from '#proxy/state.ts'
import { Namespace } from '#proxy/testing/apply.ts'

const { values } = parseArgs({ options: {
  services: { type: 'string', default: '1000,5000,10000' }, flavours: { type: 'string', default: 'nft,legacy' }, changes: { type: 'string', default: '20' } } })

const options: RuleOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, randomFully: true,
  localTraffic: { ifLocal: '-s 10.244.0.0/16', ifNotLocal: '! -s 10.244.0.0/16' }, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined }

const ip = (base: number, n: number) => `10.${base + (n >> 16)}.${n >> 8 & 255}.${n & 255}`
const service = (n: number): Change => ({ kind: 'Service', key: `bench/s${n}`, now: {
  metadata: { namespace: 'bench', name: `s${n}` }, spec: { clusterIP: ip(96, n + 1), ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } } satisfies Service })
const slice = (n: number, version = 0): Change => ({ kind: 'EndpointSlice', key: `bench/s${n}-x`, now: {
  metadata: { namespace: 'bench', name: `s${n}-x`, labels: { 'kubernetes.io/service-name': `s${n}` } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [{ addresses: [ip(244, 2 * n)] }, { addresses: [version === 0 ? ip(244, 2 * n + 1) : ip(200, version)] }] } satisfies EndpointSlice })

/** Seconds of CPU of this process and of all its children that have ended. */
const cpu = () => readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ').slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
async function measured(what: () => Promise<unknown> | unknown): Promise<{ wall: number; cpu: number }> {
  const before = cpu(), start = performance.now()
  await what()
  return { wall: performance.now() - start, cpu: (cpu() - before) * 1000 }
}
const quantile = (numbers: readonly number[], q: number) => numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * q) - 1]!
const ms = (value: number) => value.toFixed(value < 100 ? 1 : 0).padStart(9)

async function bench(flavour: string, count: number): Promise<void> {
  const command = `iptables-${flavour}`
  const [namespace, other] = await Promise.all([Namespace.make(), Namespace.make()])
  const real = iptables(4, command, { netns: namespace.path })
  const applier = new IptablesApplier(real, { jumps: jumps(options), log: silent }), generate = ruleGenerator(options)
  const state = new ProxyState({ nodeName: 'n', family: 4 })
  let text = ''
  const rules = await measured(() => {
    for (let n = 0; n < count; n++) { state.applyChange(service(n)); state.applyChange(slice(n)) }
    generate(state.ports())
  })
  const full = await measured(async () => { ({ text } = await applier.apply(generate(state.ports()))) })
  const floor = await measured(() => run([`${command}-restore`, '-w', '5', '--noflush'], { netns: other.path, input: text }))
  const changes = Number(values.changes)
  const change = async (events: (i: number) => Change[]) => {
    const walls: number[] = []
    const total = await measured(async () => {
      for (let i = 0; i < changes; i++) {
        walls.push((await measured(async () => {
          for (const event of events(i)) state.applyChange(event)
          const applied = await applier.apply(generate(state.ports()))
          if (applied.sync !== 'partial') throw new Error(`expected a partial sync, not ${applied.sync}`)
        })).wall)
      }
    })
    return `${ms(quantile(walls, 0.5))}${ms(quantile(walls, 0.99))}${ms(total.cpu / changes)}`
  }
  const endpoint = await change(i => [slice(i * 37 % count, i + 1)])
  const added = await change(i => [service(count + i), slice(count + i)])
  const memory = (process.memoryUsage().rss / 2 ** 20).toFixed(0)
  console.log(`${flavour.padEnd(7)}${String(count).padStart(6)}${ms(rules.wall)}${ms(full.wall)}${ms(full.cpu)}${ms(floor.wall)}${ms(floor.cpu)}  ${endpoint}  ${added}${memory.padStart(7)}`)
  await Promise.all([namespace.close(), other.close()])
}

console.log(`${' '.repeat(13)}    rules     full sync             floor           endpoint replaced            Service added            RSS
              wall ms  wall ms   CPU ms  wall ms   CPU ms        p50      p99      CPU        p50      p99      CPU     MB`)
for (const flavour of values.flavours.split(',')) for (const count of values.services.split(',')) await bench(flavour, Number(count))
