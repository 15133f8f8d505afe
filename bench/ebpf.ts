// What ebpf mode's sockets cost, with programs at a control group of their own:
//   node bench/ebpf.ts [--services 1000,10000,30000] [--changes 200] [--connects 5000]
// Every Service has two endpoints. "load": from state to attached programs. "change": an EndpointSlice
// event until the maps hold it, one endpoint of one Service replaced; of it the part after the state.
// "connect": the time of connect(2) and close(2) alone, to the endpoint without programs, to it with
// them, and to a Service (TCP: the last). Needs root.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import ffi from 'node:ffi'
import { parseArgs } from 'node:util'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { silent } from '#lib/log.ts'
import type { NodeOptions } from '#proxy/dataplane.ts'
import { SocketPlane } from '#proxy/ebpf/sockets/apply.ts'
import { makeGroup, type TestGroup } from '#proxy/ebpf/testing/apply.ts'
import { ProxyState, type Change } from '#proxy/state.ts'
import { Namespace } from '#proxy/testing/apply.ts'

const { values } = parseArgs({ options: { services: { type: 'string', default: '1000,10000,30000' }, changes: { type: 'string', default: '200' },
  connects: { type: 'string', default: '5000' }, client: { type: 'string' } } })
const options: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: '10.244.0.0/16' }, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined }

const ip = (base: number, n: number) => `10.${base + (n >> 16)}.${n >> 8 & 255}.${n & 255}`
const endpoint = '127.0.0.1', port = 9376
const service = (n: number): Change => ({ kind: 'Service', key: `bench/s${n}`, now: { metadata: { namespace: 'bench', name: `s${n}` },
  spec: { clusterIP: ip(96, n + 1), ports: [{ name: 'http', port: 80, protocol: 'TCP' }, ...n === 0 ? [{ name: 'udp', port: 80, protocol: 'UDP' }] : []] } } satisfies Service })
const slice = (n: number, addresses: readonly string[]): Change => ({ kind: 'EndpointSlice', key: `bench/s${n}-x`, now: {
  metadata: { namespace: 'bench', name: `s${n}-x`, labels: { 'kubernetes.io/service-name': `s${n}` } }, addressType: 'IPv4',
  ports: [{ name: 'http', port, protocol: 'TCP' }, { name: 'udp', port, protocol: 'UDP' }], endpoints: addresses.map(address => ({ addresses: [address] })) } satisfies EndpointSlice })

const quantile = (numbers: readonly number[], q: number) => numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * q) - 1]!

/** In the machine: microseconds of connect and close, median of `count`. */
function measureConnects([protocol, address, toPort]: [string, string, number], count: number): number {
  const { functions: libc } = ffi.dlopen('libc.so.6', { socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    connect: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' }, close: { arguments: ['int32'], return: 'int32' } })
  const to = Buffer.alloc(16)
  to.writeUInt16LE(2, 0); to.writeUInt16BE(toPort, 2); address.split('.').forEach((part, i) => { to[4 + i] = Number(part) })
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const fd = Number(libc.socket(2, protocol === 'tcp' ? 1 : 2, 0)), start = performance.now()
    if (Number(libc.connect(fd, to, 16)) !== 0) throw new Error(`cannot connect to ${address}:${toPort}`)
    libc.close(fd)
    times.push((performance.now() - start) * 1000)
  }
  return quantile(times, 0.5)
}

async function connects(machine: Namespace, group: TestGroup | undefined, to: readonly [string, string, number]): Promise<number> {
  const command = `${group ? `echo $$ > ${group.procs}; ` : ''}exec nsenter --net=${machine.path} -- "$@"`
  const child = spawn('sh', ['-c', command, 'sh', process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename, '--client', JSON.stringify(to), '--connects', values.connects], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', chunk => { text += chunk })
  await once(child, 'close')
  return Number(text)
}

async function bench(count: number): Promise<void> {
  const machine = await Namespace.make(), group = makeGroup()
  await machine.ask({ do: 'listen', name: 'server', addresses: [endpoint], ports: [port] })
  const plane = new SocketPlane({ family: 4, cgroup: group.fd, log: silent, netns: machine.path, candidates: () => [] }), state = new ProxyState({ nodeName: 'n', family: 4 })
  for (let n = 0; n < count; n++) { state.applyChange(service(n)); state.applyChange(slice(n, n === 0 || n === count - 1 ? [endpoint] : [ip(200, 2 * n), ip(200, 2 * n + 1)])) }
  state.ports()
  const start = performance.now(), cpu = process.cpuUsage()
  plane.apply(state.ports(), options)
  const load = performance.now() - start, used = process.cpuUsage(cpu)
  const times: number[] = [], applied: number[] = []
  for (let i = 0; i < Number(values.changes); i++) {
    const n = 1 + i * 37 % (count - 2), started = performance.now()
    state.applyChange(slice(n, [ip(200, 2 * n), ip(210, i)]))
    const ports = state.ports(), between = performance.now()
    if (plane.apply(ports, options) !== 'partial') throw new Error('expected a partial sync')
    applied.push(performance.now() - between)
    times.push(performance.now() - started)
  }
  const line = [load, (used.user + used.system) / 1000, quantile(times, 0.5), quantile(times, 0.99), quantile(applied, 0.5), quantile(applied, 0.99), process.memoryUsage().rss / 2 ** 20].map((value, i) => value.toFixed(i < 2 || i > 5 ? 0 : 2).padStart(9))
  const last = ip(96, count), udp = ip(96, 1)
  for (const [group_, to] of [[undefined, ['udp', endpoint, port]], [group, ['udp', endpoint, port]], [group, ['udp', udp, 80]], [undefined, ['tcp', endpoint, port]], [group, ['tcp', endpoint, port]], [group, ['tcp', last, 80]]] as const) {
    line.push((await connects(machine, group_, to)).toFixed(1).padStart(9))
  }
  console.log(`${String(count).padStart(8)}${line.join('')}`)
  plane.close()
  await machine.close()
  await group.close()
}

if (values.client) console.log(measureConnects(JSON.parse(values.client), Number(values.connects)))
else {
  console.log(`Services          load           change, ms       of it maps, ms     RSS        connect UDP, us           connect TCP, us
          wall ms   CPU ms      p50      p99      p50      p99       MB  without   direct  Service  without   direct  Service`)
  for (const count of values.services.split(',')) await bench(Number(count))
}
