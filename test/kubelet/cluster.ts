// For the kubelet's tests: our API server in memory, and one kubelet over the runtime's fake. No
// sockets, no root; the disk is a temporary folder.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import type { Event, Pod, PodSpec } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { startInformer } from '#client/informer.ts'
import { Kubelet, sharedInformers } from '#kubelet/apply.ts'
import type { Runtime } from '#kubelet/runtime/cri.ts'
import { systemClock, type Clock } from '#lib/clock.ts'
import { isAlreadyExists } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'

export interface TestNode {
  readonly client: Client
  readonly kubelet: Kubelet
  readonly dataDir: string
  /** Resolves to the pod as soon as it satisfies the condition. */
  until(name: string, what: (pod: Pod | undefined) => boolean, ms?: number): Promise<Pod | undefined>
  /** `Reason: message`, in the order in which they happened. */
  eventsOf(name: string): Promise<string[]>
  /** Resolves when the condition holds, asked every few milliseconds. */
  settled(what: () => boolean, ms?: number): Promise<void>
  /** Ends the kubelet, as a crash would; the API stays. */
  stopKubelet(): void
  [Symbol.asyncDispose](): Promise<void>
}

const facts = { cpus: 2, memoryBytes: 8 << 30, diskBytes: 100 * 2 ** 30, architecture: 'amd64', kernelVersion: '6.1.0', osImage: 'Test OS', machineId: 'm', bootId: 'b', fairwayVersion: '0.0.0' }

export async function testNode(runtime: Runtime, options: { clock?: Clock; server?: ApiServer; dataDir?: string } = {}): Promise<TestNode> {
  const server = options.server ?? await createApiServer({}, { log: silent })
  const client = new Client(server.transport({ name: 'admin', groups: ['system:masters'] }))
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'fairway-kubelet-'))
  const abort = new AbortController(), kubeletAbort = new AbortController()
  await client.create(resources.serviceaccounts, 'default', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } })
    .catch(error => { if (!isAlreadyExists(error)) throw error })
  const log = silent
  const kubelet = new Kubelet({
    config: { dataDir, clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local' },
    settings: { name: 'node1', internalIp: '192.168.109.100', podCidr: '10.244.0.0/24', labels: {}, taints: [] },
    facts, client, runtime, log, signal: kubeletAbort.signal, shared: sharedInformers(client, { log, signal: kubeletAbort.signal }),
    ...(options.clock && { clock: options.clock }), nodeResolvConf: 'nameserver 192.168.109.1\n', nodeHosts: '127.0.0.1\tlocalhost\n',
  })
  await kubelet.start()
  const pods = startInformer<Pod>(client, resources.pods, { namespace: 'default', log, signal: abort.signal })
  await pods.synced
  const waiting = new Set<() => void>()
  pods.onChange(() => { for (const check of waiting) check() })
  return {
    client, kubelet, dataDir,
    async until(name, what, ms = 5_000) {
      const get = () => pods.get(`default/${name}`)
      const late = new AbortController()
      const { promise, resolve } = Promise.withResolvers<void>()
      const check = () => { if (what(get())) resolve() }
      waiting.add(check)
      check()
      const timeout = systemClock.sleep(ms, late.signal).then(() => { throw new Error(`${name}: not within ${ms} ms; last seen ${JSON.stringify(get()?.status, undefined, 1)}`) })
      timeout.catch(() => {})
      try { await Promise.race([promise, timeout]) } finally { late.abort(); waiting.delete(check) }
      return get()
    },
    async eventsOf(name) {
      await kubelet.flushEvents()
      const { items } = await client.list<Event>(resources.events, 'default', { fieldSelector: `involvedObject.name=${name}` })
      return items.toSorted((a, b) => a.metadata.name < b.metadata.name ? -1 : 1).map(({ reason, message }) => `${reason}: ${message}`)
    },
    async settled(what, ms = 5_000) {
      for (const end = systemClock.now() + ms; !what();) {
        if (systemClock.now() > end) throw new Error(`not settled within ${ms} ms: ${what}`)
        await systemClock.sleep(5)
      }
    },
    stopKubelet() { kubeletAbort.abort() },
    async [Symbol.asyncDispose]() {
      kubeletAbort.abort()
      abort.abort()
      if (!options.server) await server.close()
      if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export const podOf = (name: string, spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>, metadata: Partial<Pod['metadata']> = {}): Pod =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', ...metadata }, spec: { automountServiceAccountToken: false, nodeName: 'node1', terminationGracePeriodSeconds: 1, ...spec } }) as Pod
