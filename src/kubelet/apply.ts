// The kubelet of one node: gives every pod bound to it a worker, tells the workers what changed, and
// sweeps what earlier pods left. What happens to a pod is decided in pods/.
import { readdir, rm } from 'node:fs/promises'
import type { ContainerStatus, Node, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { eventRecorder } from '#client/events.ts'
import { startInformer, type Informer } from '#client/informer.ts'
import { systemClock, type Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { AgentConfig, NodeSettings } from './config.ts'
import { capacity, type MachineFacts } from './node/node.ts'
import { keepNode, registerNode } from './node/apply.ts'
import { objectCache } from './objects/apply.ts'
import { PodApply, type NodeContext } from './pods/apply.ts'
import { podOffer } from './pods/endpoints.ts'
import { PodWorker } from './pods/worker.ts'
import type { Runtime } from './runtime/cri.ts'
import { podRoot } from './containers/apply.ts'
import { removePodFiles } from './volumes/apply.ts'

/** What the nodes of one agent share: every Service, EndpointSlice and Node once, not once a node. */
export interface SharedInformers { readonly services: Informer<Service>; readonly slices: Informer<EndpointSlice>; readonly nodes: Informer<Node> }

const byPodUid = 'podUid'

export function sharedInformers(client: Client, options: { log: Log; signal: AbortSignal }): SharedInformers {
  const slices = startInformer<EndpointSlice>(client, resources.endpointslices, options)
  slices.addIndex(byPodUid, slice => (slice.endpoints ?? []).flatMap(({ targetRef }) => targetRef?.uid ?? []))
  return { slices, services: startInformer<Service>(client, resources.services, options), nodes: startInformer<Node>(client, resources.nodes, options) }
}

export interface KubeletOptions {
  readonly config: Pick<AgentConfig, 'dataDir' | 'clusterDns' | 'clusterDomain'>
  readonly settings: NodeSettings
  readonly facts: MachineFacts
  readonly client: Client
  readonly runtime: Runtime
  readonly shared: SharedInformers
  readonly log: Log
  readonly signal: AbortSignal
  readonly clock?: Clock
  /** Texts of the node's own files, for dnsPolicy Default and host network. */
  readonly nodeResolvConf: string
  readonly nodeHosts: string
}

export class Kubelet {
  readonly #options: KubeletOptions
  readonly #context: NodeContext
  readonly #workers = new Map<string, PodWorker>()

  constructor(options: KubeletOptions) {
    this.#options = options
    this.#context = nodeContext(options)
    this.#context.objects.onChange(uid => this.#workers.get(uid)?.objectsChanged())
    options.shared.slices.onChange(({ old, now }) => this.#slicesChanged(old, now))
    options.runtime.onEvent(({ podUid }) => this.#workers.get(podUid)?.poke())
  }

  /** Registers the node, then looks after its pods; resolves when the node is Ready and all its pods are known. */
  async start(): Promise<void> {
    const { client, settings, facts, log, signal, runtime } = this.#options
    const keeper = { client, clock: this.#context.clock, log, signal, settings, facts }
    await registerNode(keeper)
    void keepNode(keeper)
    const pods = startInformer<Pod>(client, resources.pods, { fieldSelector: `spec.nodeName=${settings.name}`, log, signal })
    pods.onChange(({ old, now }) => this.#podChanged(old, now))
    await pods.synced
    // From here on the API tells of the pods as they are now, not as they were before a restart.
    await Promise.all([...this.#workers.values()].map(worker => worker.reported()))
    await sweep(this.#context.root, uid => this.#workers.has(uid), runtime)
    signal.addEventListener('abort', () => { for (const worker of this.#workers.values()) worker.end() }, { once: true })
  }

  /** Resolves when the events so far are written; for tests. */
  flushEvents(): Promise<void> { return this.#context.recorder.flush() }
  get name(): string { return this.#options.settings.name }
  get root(): string { return this.#context.root }
  pods(): Pod[] { return [...this.#workers.values()].map(worker => worker.pod) }
  /** The newest pod of that name. */
  pod(namespace: string, name: string): Pod | undefined {
    return this.pods().findLast(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
  }

  /** The container statuses that were reported last. */
  status(pod: Pod): ContainerStatus[] {
    const status = this.#workers.get(pod.metadata.uid!)?.status
    return [...status?.initContainerStatuses ?? [], ...status?.containerStatuses ?? []]
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const uid = (now ?? old)!.metadata.uid!
    const worker = this.#workers.get(uid)
    if (!now) worker?.remove()
    else if (worker) worker.update(now)
    else this.#workers.set(uid, this.#newWorker(now, uid))
  }

  #newWorker(pod: Pod, uid: string): PodWorker {
    const hands = new PodApply(pod, this.#context, () => worker.poke())
    const worker = new PodWorker(pod, { hands, clock: this.#context.clock, log: this.#context.log, done: () => this.#workers.delete(uid) })
    worker.poke()
    return worker
  }

  #slicesChanged(old: EndpointSlice | undefined, now: EndpointSlice | undefined): void {
    for (const { targetRef } of [...old?.endpoints ?? [], ...now?.endpoints ?? []]) {
      const worker = targetRef?.uid ? this.#workers.get(targetRef.uid) : undefined
      if (worker?.pod.metadata.deletionTimestamp) worker.poke()
    }
  }
}

function nodeContext(options: KubeletOptions): NodeContext {
  const { client, runtime, config, settings, facts, shared, signal } = options
  const log = options.log.named(`kubelet/${settings.name}`)
  const clock = options.clock ?? systemClock
  let slicesSynced = false
  shared.slices.synced.then(() => { slicesSynced = true }, () => {})
  return {
    client, runtime, clock, log, signal,
    recorder: eventRecorder(client, { component: 'kubelet', host: settings.name, log, clock }),
    objects: objectCache(client, { log, signal }),
    services: async () => { await shared.services.synced; return shared.services.list() },
    // Without a view of the slices (no permission at another API server) the margin alone must do.
    offer: pod => slicesSynced ? podOffer(shared.slices.byIndex(byPodUid, pod.metadata.uid!), pod.metadata.uid!) : { held: true, offered: false },
    sandboxSettings: { nodeName: settings.name, clusterDns: config.clusterDns, clusterDomain: config.clusterDomain,
      nodeResolvConf: options.nodeResolvConf, nodeHosts: options.nodeHosts },
    hostIps: [settings.internalIp], allocatable: capacity(facts), root: `${config.dataDir}/nodes/${settings.name}`,
  }
}

/** Removes what is left of pods that were deleted while this agent did not run. */
async function sweep(root: string, known: (uid: string) => boolean, runtime: Runtime): Promise<void> {
  for (const uid of await readdir(`${root}/pods`).catch(() => [])) if (!known(uid)) await removePodFiles(podRoot(root, uid))
  for (const folder of await readdir(`${root}/log/pods`).catch(() => []))
    if (!known(folder.split('_').at(-1)!)) await rm(`${root}/log/pods/${folder}`, { recursive: true, force: true })
  for (const { id, config } of runtime.listPodSandboxes())
    if (!known(config.uid)) { await runtime.stopPodSandbox(id); await runtime.removePodSandbox(id) }
}
