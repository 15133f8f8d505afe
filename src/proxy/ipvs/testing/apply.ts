// For the tests of this mode: the manifests of ../../testdata/ as it sees them, and its planes at work in
// network namespaces.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findIpvs } from '#host/ipvs.ts'
import { run } from '#host/run.ts'
import { CommandError } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import type { Family } from '#net/ip.ts'
import { proxyConfig, type ProxyConfig } from '../../config.ts'
import type { DataPlane, NodeOptions } from '../../dataplane.ts'
import { Metrics } from '../../metrics.ts'
import { manifestState, network, nodeName } from '../../packets.ts'
import type { ProxiedPort } from '../../state.ts'
import { cleanup, create } from '../apply.ts'
import { ipvsOptions, type IpvsOptions } from '../options.ts'

export const testConfig = (values: Record<string, unknown> = {}): ProxyConfig => proxyConfig(new Map(Object.entries(values)), new Map())

/** The node of the packet table. */
export const nodeInterfaces = new Map([['lo', ['127.0.0.1', '::1']], ['eth0', network.node.addresses.filter(address => !/^(10\.244|fd00:244)/.test(address))], ['veth-a', network.node.addresses.filter(address => /^(10\.244|fd00:244)/.test(address))]])

export function ipvsCase(name: string, family: Family): { ports: readonly ProxiedPort[]; node: NodeOptions; options: IpvsOptions } {
  const file = join(import.meta.dirname, '../../testdata', `${name}.in.yaml`)
  const { ports, options: node } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), family)
  return { ports, node, options: ipvsOptions(node, { config: testConfig(), interfaces: nodeInterfaces, randomFully: true }) }
}

/** Why tests against the kernel cannot run here; undefined when they can. */
export async function cannotTry(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root'
  const found = await findIpvs()
  return typeof found === 'string' ? `${found} (test/ipvs-vm runs this in a virtual machine)` : undefined
}

export async function cannotTrySctp(): Promise<string | undefined> {
  try { await run(['modprobe', 'sctp']) } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return 'this kernel has no SCTP (test/ipvs-vm runs this in a virtual machine)'
  }
  return undefined
}

export async function makePlane({ family, netns, values = {} }: { family: Family; netns: string; values?: Record<string, unknown> }): Promise<DataPlane> {
  const plane = await create({ family, netns, config: testConfig(values), nodeName, log: silent, metrics: new Metrics(), labels: {} })
  if ('refused' in plane) throw new Error(plane.refused)
  return plane
}

/** All that the mode could leave in a network namespace, as text; tables of iptables that hold nothing count as none. */
export async function heldText(netns: string): Promise<string> {
  const show = async (...argv: string[]) => (await run(argv, { netns })).stdout
  const tables = await Promise.all(['iptables-save', 'ip6tables-save'].map(command => show(command)))
  return [await show('ipvsadm', '-S', '-n'), ...(await show('ipset', 'save')).match(/^(create \S+ \S+|add .*)/gm) ?? [],
    await show('ip', '-oneline', 'address', 'show', 'dev', 'kube-ipvs0').catch(() => ''), ...tables.flatMap(text => text.match(/^(-A .*|:KUBE\S*)/gm) ?? [])].join('\n').trim()
}

export const cleanUp = (netns: string): Promise<void> => cleanup({ log: silent, inForce: undefined, config: testConfig(), netns })

/** server.ts in a network namespace. */
export class Peer {
  readonly #child: ChildProcess
  private constructor(child: ChildProcess) { this.#child = child }

  static async start(netns: string, what: 'serve' | 'talk', { protocol, address, port, name = '' }: { protocol: 'tcp' | 'sctp'; address: string; port: number; name?: string }): Promise<Peer> {
    const child = spawn('nsenter', [`--net=${netns}`, '--', process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'server.ts'), what, protocol, address, String(port), name], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const [said] = await once(child, 'message') as [string]
    if (said === 'listening' || said === 'connected') return new Peer(child)
    child.kill('SIGKILL')
    throw new Error(`${what} ${protocol} ${address}:${port}: ${said}`)
  }

  async say(text: string): Promise<string> {
    const answer = once(this.#child, 'message')
    this.#child.send(text)
    return (await answer as [string])[0]
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}
