// Pod sandboxes of a node: address, files, network, hostPorts; and taking all of it down again.
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { applyHostPorts } from '../../../network/apply.ts'
import { bridge } from '../../../network/network.ts'
import type { PodSandbox, PodSandboxConfig } from '../../cri.ts'
import { killContainer } from '../containers/apply.ts'
import { nextOffset } from '../ipam.ts'
import { sandboxView } from '../records.ts'
import type { SandboxRecord } from '../records.ts'
import { hostsFile } from '../spec.ts'
import type { Node } from '../state.ts'

function takeAddress(node: Node): number {
  const taken = new Set([...node.sandboxes.values()].flatMap(({ offset, state }) => offset !== undefined && state === 'ready' ? [offset] : []))
  const offset = nextOffset(node.range, taken, node.lastOffset)
  if (offset === undefined) throw new Error(`no IP addresses available in range ${node.options.podCidr}: delete pods or give the nodes larger ranges (--cluster-cidr)`)
  node.lastOffset = offset
  return offset
}

export async function runPodSandbox(node: Node, config: PodSandboxConfig): Promise<PodSandbox> {
  const { options, range } = node
  const id = randomBytes(32).toString('hex')
  const offset = config.hostNetwork ? undefined : takeAddress(node)
  const ip = offset === undefined ? options.nodeIp : range.address(offset)
  const record: SandboxRecord = { id, config, directory: join(options.sandboxRoot, id), createdAt: Date.now(), ips: [ip], offset, state: 'ready' }
  node.sandboxes.set(id, record) // from now on its address is taken
  try {
    await mkdir(join(record.directory, 'shm'), { recursive: true })
    await Promise.all([writeFiles(record, ip), createIn(node, record)])
    if (config.portMappings.length) await updateHostPorts(node)
  } catch (error) {
    record.state = 'notready'
    await removePodSandbox(node, id).catch(() => {})
    throw error
  }
  return sandboxView(record)
}

async function writeFiles({ directory, config }: SandboxRecord, ip: string): Promise<void> {
  await Promise.all([
    writeFile(join(directory, 'resolv.conf'), config.resolvConf),
    writeFile(join(directory, 'hosts'), hostsFile(config, ip)),
    writeFile(join(directory, 'hostname'), `${config.hostname}\n`),
  ])
}

function createIn({ thread, options, range }: Node, { id, config, directory, ips, offset }: SandboxRecord): Promise<void> {
  return thread.ask<'sandbox'>({
    kind: 'sandbox', id, hostname: config.hostname, netns: options.netns, sysctls: config.sysctls, shm: join(directory, 'shm'),
    network: offset === undefined ? undefined : { link: `veth${id.slice(0, 8)}`, bridge, address: `${ips[0]}/${range.prefix}`, gateway: range.gateway },
  })
}

export function stopPodSandbox(node: Node, id: string): Promise<void> {
  const record = node.sandboxes.get(id)
  if (!record) return Promise.resolve()
  // After a failure the next call tries again.
  return record.stopping ??= stop(node, record).catch(error => { delete record.stopping; throw error })
}

async function stop(node: Node, record: SandboxRecord): Promise<void> {
  await Promise.all([...node.containers.values()].filter(container => container.sandbox === record).map(container => killContainer(node, container)))
  await node.thread.ask<'removeSandbox'>({ kind: 'removeSandbox', id: record.id })
  record.state = 'notready'
  if (record.config.portMappings.length) await updateHostPorts(node)
  node.emit(record)
}

export async function removePodSandbox(node: Node, id: string): Promise<void> {
  const record = node.sandboxes.get(id)
  if (!record) return
  await stopPodSandbox(node, id)
  await rm(record.directory, { recursive: true, force: true })
  for (const container of node.containers.values()) if (container.sandbox === record) node.containers.delete(container.id)
  node.sandboxes.delete(id)
}

const hostPortQueues = new WeakMap<Node, Promise<void>>()
/** The table is replaced whole, so the calls must not overtake each other. */
function updateHostPorts(node: Node): Promise<void> {
  const next = (hostPortQueues.get(node) ?? Promise.resolve()).catch(() => {}).then(() => {
    const ready = [...node.sandboxes.values()].filter(({ state, offset }) => state === 'ready' && offset !== undefined)
    return applyHostPorts(node.options.netns, ready.flatMap(({ config, ips }) => config.portMappings.map(port => ({ ...port, podIp: ips[0]! }))))
  })
  hostPortQueues.set(node, next)
  return next
}
