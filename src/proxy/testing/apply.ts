// Makes the network of the packet table for real: a network namespace for each machine, veths and
// routes between them, and a process in each (server.ts). Nothing of it outlives the process that
// made it: the namespaces have no names, and the processes end with their IPC channel. No route
// leads out.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { run } from '#host/run.ts'
import { network, type Machine } from '../packets.ts'
import type { Request, Response } from './server.ts'

/** A request without its number. */
type Ask = { [K in Request['do']]: Omit<Extract<Request, { do: K }>, 'id'> }[Request['do']]

export class Namespace {
  /** Path of the network namespace, for nsenter. */
  readonly path: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (response: Response) => void>()
  #next = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    this.path = `/proc/${child.pid}/ns/net`
    child.on('message', (response: Response) => { this.#waiting.get(response.id)?.(response); this.#waiting.delete(response.id) })
  }

  /** Starts a process in a network namespace of its own. */
  static async make(): Promise<Namespace> {
    // unshare execs node without forking, so the child's pid is node's and its namespace is the new one.
    const child = spawn('unshare', ['--net', '--', process.execPath, join(import.meta.dirname, 'server.ts')], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    await once(child, 'spawn')
    const namespace = new Namespace(child)
    await namespace.ask({ do: 'listen', name: '', addresses: [], ports: [] })
    await namespace.run(['ip', 'link', 'set', 'lo', 'up'])
    return namespace
  }

  ask(request: Ask): Promise<Response> {
    const id = this.#next++
    return new Promise(resolve => {
      this.#waiting.set(id, resolve)
      this.#child.send({ ...request, id })
    })
  }

  run(argv: readonly string[], input?: string): Promise<{ stdout: string; stderr: string }> {
    return run(argv, { netns: this.path, ...input !== undefined && { input } })
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

export interface Network {
  readonly machines: Readonly<Record<Machine, Namespace>>
  close(): Promise<void>
}

const link = (a: Namespace, nameA: string, b: Namespace, nameB: string) =>
  a.run(['ip', 'link', 'add', nameA, 'type', 'veth', 'peer', 'name', nameB, 'netns', b.path.split('/')[2]!])

type Machines = Network['machines']

/** `packets.ts` says who has which address; pod-c's machine is its node and the router as well, which refuses what it does not know. */
export async function makeNetwork(pods: { readonly ports: readonly number[] }): Promise<Network> {
  const [client, node, podA, podB, podC, fabric] = await Promise.all(Array.from({ length: 6 }, () => Namespace.make())) as [Namespace, Namespace, Namespace, Namespace, Namespace, Namespace]
  const machines = { client, node, 'pod-a': podA, 'pod-b': podB, 'pod-c': podC }
  await plug(machines, fabric)
  await giveAddresses(machines)
  await Promise.all((['pod-a', 'pod-b', 'pod-c'] as const).map(async name => {
    const { error } = await machines[name].ask({ do: 'listen', name, addresses: network[name].addresses, ports: pods.ports })
    if (error) throw new Error(`${name} cannot listen: ${error}`)
  }))
  return { machines, close: async () => { await Promise.all([...Object.values(machines), fabric].map(namespace => namespace.close())) } }
}

async function plug(machines: Machines, fabric: Namespace): Promise<void> {
  await fabric.run(['ip', 'link', 'add', 'br0', 'up', 'type', 'bridge'])
  for (const name of ['client', 'node', 'pod-c'] as const) {
    await link(machines[name], 'eth0', fabric, name)
    await fabric.run(['ip', 'link', 'set', name, 'master', 'br0', 'up'])
  }
  await link(machines.node, 'veth-a', machines['pod-a'], 'eth0')
  await link(machines.node, 'veth-b', machines['pod-b'], 'eth0')
  // What fairway proxy sets on a node, and what a router needs. Refusals are ICMP, of which the kernel sends each host one a second.
  const settings = { 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1, 'ipv4/conf/all/route_localnet': 1, 'ipv4/icmp_ratelimit': 0, 'ipv6/icmp/ratelimit': 0 }
  const commands = Object.entries(settings).map(([name, value]) => `echo ${value} > /proc/sys/net/${name}`)
  for (const name of ['node', 'pod-c'] as const) await machines[name].run(['sh', '-ec', commands.join('\n')])
}

const fabricAddress = (last: number) => `
addr add 192.168.109.${last}/24 dev eth0
addr add fd00:109::${last}/64 dev eth0 nodad
link set eth0 up`
/** The node's end of a pod's link: no bridge, so that no packet between pods misses the node's rules. */
const nodeEnd = (veth: string, last: number) => `
addr add 10.244.1.1/32 dev ${veth}
addr add fd00:244:1::1/128 dev ${veth} nodad
link set ${veth} up
route add 10.244.1.${last}/32 dev ${veth}
route add fd00:244:1::${last}/128 dev ${veth}`
const podEnd = (last: number) => `
addr add 10.244.1.${last}/32 dev eth0
addr add fd00:244:1::${last}/128 dev eth0 nodad
link set eth0 up
route add 10.244.1.1 dev eth0
route add default via 10.244.1.1
route add fd00:244:1::1 dev eth0
route add default via fd00:244:1::1`

const commands: Readonly<Record<Machine, string>> = {
  client: `${fabricAddress(200)}
route add 10.96.0.0/12 via 192.168.109.101
route add 203.0.113.0/24 via 192.168.109.101
route add 198.51.100.0/24 via 192.168.109.101`,
  node: `${fabricAddress(101)}
addr add 192.168.109.111/24 dev eth0${nodeEnd('veth-a', 2)}${nodeEnd('veth-b', 3)}
route add 10.244.2.0/24 via 192.168.109.102
route add default via 192.168.109.102
route add default via fd00:109::102`,
  'pod-a': podEnd(2),
  'pod-b': podEnd(3),
  'pod-c': `${fabricAddress(102)}
addr add 10.244.2.2/32 dev lo
addr add fd00:244:2::2/128 dev lo nodad
route add 10.244.1.0/24 via 192.168.109.101
route add unreachable default`,
}

async function giveAddresses(machines: Machines): Promise<void> {
  for (const [name, batch] of Object.entries(commands)) await machines[name as Machine].run(['ip', '-batch', '-'], batch.trim() + '\n')
}
