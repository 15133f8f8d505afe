// Keeps one node in the API: registers it, renews its Lease, and reports its status. What it says is
// decided in node.ts; facts about the machine are read here.
import { readFile, statfs } from 'node:fs/promises'
import { arch, availableParallelism, release, totalmem } from 'node:os'
import type { Lease } from '#api/coordination/v1.ts'
import type { Node } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { microTime, type Clock } from '#lib/clock.ts'
import { isAlreadyExists, isConflict, isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { NodeSettings } from '../config.ts'
import { newNode, nodeLabels, nodeSpec, nodeStatus, type MachineFacts } from './node.ts'

export interface NodeKeeper { readonly client: Client; readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal; readonly settings: NodeSettings; readonly facts: MachineFacts }

const leaseSeconds = 40, renewMs = 10_000, statusMs = 300_000, retryMs = 50

export async function machineFacts(dataDir: string, fairwayVersion: string): Promise<MachineFacts> {
  const text = (file: string) => readFile(file, 'utf8').then(content => content.trim(), () => '')
  const disk = await statfs(dataDir).catch(() => undefined)
  const osRelease = await text('/etc/os-release')
  return {
    cpus: availableParallelism(), memoryBytes: totalmem(), diskBytes: disk ? disk.blocks * disk.bsize : 0,
    architecture: { x64: 'amd64' }[arch() as string] ?? arch(), kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux',
    machineId: await text('/etc/machine-id'), bootId: await text('/proc/sys/kernel/random/boot_id'), fairwayVersion,
  }
}

/** Registers the node and reports it Ready; retries until the server answers or the signal ends it. */
export async function registerNode(keeper: NodeKeeper): Promise<void> {
  const { clock, log, signal, settings } = keeper
  for (let failures = 0; ; failures++) {
    try {
      const node = await createOrAdopt(keeper)
      await reportStatus(keeper, node)
      await renewLease(keeper)
      return
    } catch (error) {
      if (signal.aborted) throw error
      if (failures % 100 === 99) log.warn('node not registered, will retry', { node: settings.name, err: (error as Error).message })
      await clock.sleep(retryMs, signal)
    }
  }
}

async function createOrAdopt({ client, settings, facts }: NodeKeeper): Promise<Node> {
  try { return await client.create<Node>(resources.nodes, undefined, newNode(settings, facts)) } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
  // As upstream's reconcile of default labels: what people set besides stays, taints included.
  const { podCIDR, podCIDRs } = nodeSpec(settings)
  return client.patch<Node>(resources.nodes, undefined, settings.name, { metadata: { labels: nodeLabels(settings, facts) }, spec: { podCIDR, podCIDRs } })
}

async function reportStatus({ client, clock, settings, facts }: NodeKeeper, node: Node): Promise<void> {
  const status = nodeStatus(settings, facts, { now: clock.now(), ...(node.status && { previous: node.status }) })
  await client.patch(resources.nodes, undefined, settings.name, { status }, { type: 'strategic', subresource: 'status' })
}

async function renewLease({ client, clock, settings }: NodeKeeper): Promise<void> {
  const { name } = settings
  const renewTime = microTime(clock.now())
  try {
    await client.patch<Lease>(resources.leases, 'kube-node-lease', name, { spec: { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime } })
  } catch (error) {
    if (!isNotFound(error)) throw error
    await client.create<Lease>(resources.leases, 'kube-node-lease', { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime } })
  }
}

/** Runs until the signal: the Lease every 10 s, the status every 5 min or when someone removed the node. */
export async function keepNode(keeper: NodeKeeper): Promise<void> {
  const { client, clock, log, signal, settings } = keeper
  let reportedAt = clock.now()
  while (!signal.aborted) {
    await clock.sleep(renewMs, signal).catch(() => {})
    if (signal.aborted) return
    try {
      await renewLease(keeper)
      const node = await client.get<Node>(resources.nodes, undefined, settings.name)
      const ready = node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      if (ready && clock.now() - reportedAt < statusMs) continue
      await reportStatus(keeper, node)
      reportedAt = clock.now()
    } catch (error) {
      if (isNotFound(error)) await registerNode(keeper).catch(() => {})
      else if (!isConflict(error) && !signal.aborted) log.warn('node not renewed', { node: settings.name, err: (error as Error).message })
    }
  }
}
