// What a sync of the Service proxy costs, with the kernel's rules in a network namespace of its own:
//   node bench/proxy.ts [--services 1000,5000,10000] [--modes iptables-nft,iptables-legacy,nftables] [--changes 200] [--endpoints 2]
// "floor" is the mode's own tool given the same text. Changes are counted from the event until the
// kernel has it: one endpoint replaced, then one Service added, then one endpoint more and one less.
// CPU includes the tools'. Any mode of the proxy can be named. Needs root; nothing else should run.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { openNftables } from '#host/nfnetlink.ts'
import { iptables } from '#host/iptables.ts'
import { nft } from '#host/nft.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { proxyConfig } from '#proxy/config.ts'
import type { DataPlane, NodeOptions, PlaneContext } from '#proxy/dataplane.ts'
import { IptablesPlane } from '#proxy/iptables/apply.ts'
import { Metrics } from '#proxy/metrics.ts'
import type { Mode } from '#proxy/mode.ts'
import { loadMode } from '#proxy/modes.ts'
import { NftablesPlane } from '#proxy/nftables/apply.ts'
import { ProxyState, type Change } from '#proxy/state.ts'
import { Namespace } from '#proxy/testing/apply.ts'

const { values } = parseArgs({ options: {
  services: { type: 'string', default: '1000,5000,10000' }, modes: { type: 'string', default: 'iptables-nft,iptables-legacy,nftables' },
  changes: { type: 'string', default: '20' }, endpoints: { type: 'string', default: '2' } } })
const perService = Number(values.endpoints)

const options: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: '10.244.0.0/16' },
  nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined }

/** A plane in a namespace, and the tool that its last text can be given to as it is. */
interface Made { readonly plane: DataPlane; readonly floor?: (netns: string) => Promise<unknown> }

async function make(name: string, netns: string): Promise<Made> {
  const [mode, flavour] = name.split('-') as [Mode, string?]
  const context: PlaneContext = { family: 4, config: proxyConfig(new Map([['mode', mode]]), new Map()), nodeName: 'n', log: silent, metrics: new Metrics(), labels: {}, netns }
  let text = ''
  if (mode === 'iptables') {
    const command = `iptables-${flavour ?? 'nft'}`, real = iptables(4, command, { netns })
    const plane = new IptablesPlane({ ...real, restore: given => { text = given; return real.restore(given) } }, context)
    return { plane, floor: other => run([`${command}-restore`, '-w', '5', '--noflush'], { netns: other, input: text }) }
  }
  if (mode === 'nftables') {
    const real = nft(netns)
    const plane = new NftablesPlane({ ...real, apply: given => { text = given; return real.apply(given) } }, context, flavour === 'text' ? undefined : openNftables(netns))
    return { plane, floor: other => run(['nft', '-f', '-'], { netns: other, input: text }) }
  }
  const plane = await (await loadMode(mode)).create(context)
  if ('refused' in plane) throw new Error(plane.refused)
  return { plane }
}

const ip = (base: number, n: number) => `10.${base + (n >> 16)}.${n >> 8 & 255}.${n & 255}`
const service = (n: number): Change => ({ kind: 'Service', key: `bench/s${n}`, now: {
  metadata: { namespace: 'bench', name: `s${n}` }, spec: { clusterIP: ip(96, n + 1), ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } } satisfies Service })
const slice = (n: number, version = 0, more = 0): Change => ({ kind: 'EndpointSlice', key: `bench/s${n}-x`, now: {
  metadata: { namespace: 'bench', name: `s${n}-x`, labels: { 'kubernetes.io/service-name': `s${n}` } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: Array.from({ length: perService + more }, (_, i) => ({ addresses: [i === 0 && version > 0 ? ip(200, version) : ip(16, n * (perService + 1) + i)] })) } satisfies EndpointSlice })

/** Seconds of CPU of this process and of all its children that have ended. */
const cpu = () => readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ').slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
async function measured(what: () => Promise<unknown> | unknown): Promise<{ wall: number; cpu: number }> {
  const before = cpu(), start = performance.now()
  await what()
  return { wall: performance.now() - start, cpu: (cpu() - before) * 1000 }
}
const quantile = (numbers: readonly number[], q: number) => numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * q) - 1]!
const ms = (value: number) => value.toFixed(value < 100 ? 1 : 0).padStart(9)

async function bench(mode: string, count: number): Promise<void> {
  const [namespace, other] = await Promise.all([Namespace.make(), Namespace.make()])
  const { plane, floor } = await make(mode, namespace.path)
  const state = new ProxyState({ nodeName: 'n', family: 4 })
  const rules = await measured(() => {
    for (let n = 0; n < count; n++) { state.applyChange(service(n)); state.applyChange(slice(n)) }
    state.ports()
  })
  const full = await measured(() => plane.apply(state.ports(), options))
  const bare = floor && await measured(() => floor(other.path))
  const changes = Number(values.changes)
  const change = async (events: (i: number) => Change[]) => {
    const walls: number[] = []
    const total = await measured(async () => {
      for (let i = 0; i < changes; i++) {
        walls.push((await measured(async () => {
          for (const event of events(i)) state.applyChange(event)
          const applied = await plane.apply(state.ports(), options)
          if (applied.sync === 'none' || applied.partialFailed) throw new Error(`expected a change to be written, not ${JSON.stringify(applied)}`)
        })).wall)
      }
    })
    return `${ms(quantile(walls, 0.5))}${ms(quantile(walls, 0.99))}${ms(total.cpu / changes)}`
  }
  const replaced = await change(i => [slice(i * 37 % count, i + 1)])
  const added = await change(i => [service(count + i), slice(count + i)])
  const scaled = await change(i => [slice((i >> 1) * 37 % count, 0, 1 - i % 2)])
  const memory = (process.memoryUsage().rss / 2 ** 20).toFixed(0)
  console.log(`${mode.padEnd(15)}${String(count).padStart(6)}${ms(rules.wall)}${ms(full.wall)}${ms(full.cpu)}${bare ? ms(bare.wall) + ms(bare.cpu) : ' '.repeat(18)}  ${replaced}  ${added}  ${scaled}${memory.padStart(7)}`)
  await plane.stop()
  await Promise.all([namespace.close(), other.close()])
}

console.log(`${' '.repeat(21)}    state     full sync             floor           endpoint replaced            Service added              scaled by one           RSS
                      wall ms  wall ms   CPU ms  wall ms   CPU ms        p50      p99      CPU        p50      p99      CPU        p50      p99      CPU     MB`)
for (const mode of values.modes.split(',')) for (const count of values.services.split(',')) await bench(mode, Number(count))
