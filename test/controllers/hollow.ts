// A cluster in memory for tests of controllers and scheduler: our own API server, the real
// controllers and scheduler, and hollow kubelets (kubemark's word) that only write statuses.
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import type { Pki } from '#apiserver/config.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { keyOf, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { startInformer, type Informer } from '#client/informer.ts'
import { startControllers } from '#controllers/main.ts'
import { systemClock, time, type Clock } from '#lib/clock.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import { logger, silent } from '#lib/log.ts'
import { parseCidr } from '#net/ip.ts'
import { startScheduler } from '#scheduler/apply.ts'

export interface Hollow {
  readonly client: Client
  readonly server: ApiServer
  readonly signal: AbortSignal
  informer<T extends KubeObject>(resource: Resource): Informer<T>
  /** Resolves when `holds` does; looks after each change of the resources, and fails with `what` after ten seconds. */
  until(what: string, holds: () => boolean): Promise<void>
  /** Sets a pod's condition Ready. */
  setReady(pod: Pod, ready: boolean): Promise<void>
  stop(): Promise<void>
}

export interface HollowOptions {
  readonly nodes?: readonly string[]
  /** Pods that the hollow kubelets start; all unless said. */
  readonly starts?: (pod: Pod) => boolean
  /** Whether pods that are being deleted end at once. */
  readonly ends?: (pod: Pod) => boolean
  readonly clock?: Clock
  /** Needed to listen. */
  readonly pki?: Pki
}

const debug = process.env.DEBUG_HOLLOW ? logger('hollow') : silent

export async function hollowCluster(options: HollowOptions = {}): Promise<Hollow> {
  const server = await createApiServer({ ...(options.pki && { pki: options.pki }) }, { log: debug, ...(options.clock && { now: options.clock.now }) })
  const client = new Client(server.transport({ name: 'system:admin', groups: ['system:masters'] }))
  const abort = new AbortController(), { signal } = abort
  const controllers = startControllers(client, { log: debug, signal, rootCa: 'PEM', clusterCidr: parseCidr('10.244.0.0/16')!, nodeCidrMaskSize: 24, ...(options.clock && { clock: options.clock }) })
  const scheduler = startScheduler(client, { log: debug, signal, ...(options.clock && { clock: options.clock }) })
  const informers = new Map<string, Informer<KubeObject>>()
  const watchers = new Set<() => void>()
  const informer = <T extends KubeObject>(resource: Resource): Informer<T> => {
    const key = resource.plural
    if (!informers.has(key)) {
      const made = startInformer<KubeObject>(client, resource, { log: debug, signal })
      informers.set(key, made)
      made.onChange(() => { for (const look of [...watchers]) look() })
    }
    return informers.get(key) as unknown as Informer<T>
  }
  for (const name of options.nodes ?? ['k8s-node01', 'k8s-node02']) await client.create<Node>(resources.nodes, undefined, node(name))
  const pods = informer<Pod>(resources.pods)
  hollowKubelets(client, pods, options)
  await Promise.all([controllers.ready, scheduler.ready, pods.synced])
  return {
    client, server, signal, informer,
    setReady: (pod, ready) => setReady(client, pod, ready),
    until: (what, holds) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => { watchers.delete(look); reject(new Error(`never: ${what}`)) }, 10_000)
      const look = () => { if (holds()) { clearTimeout(timer); watchers.delete(look); resolve() } }
      watchers.add(look)
      look()
    }),
    async stop() {
      abort.abort(new Error('the test is over'))
      await Promise.all([controllers.stop(), scheduler.stop()])
      await server.close()
    },
  }
}

const node = (name: string): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name } }, spec: {},
  status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' }, capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: time(Date.now()), lastTransitionTime: time(Date.now()) }] },
})

function hollowKubelets(client: Client, pods: Informer<Pod>, { starts = () => true, ends = () => true, clock = systemClock }: HollowOptions): void {
  let last = 1
  const ignore = (error: unknown) => { if (!isNotFound(error) && !isConflict(error)) throw error }
  pods.onChange(({ now }) => {
    if (!now?.spec.nodeName) return
    const { namespace, name, uid } = now.metadata
    if (now.metadata.deletionTimestamp) {
      if (ends(now)) void client.delete(resources.pods, namespace, name, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(ignore)
    } else if (now.status?.phase !== 'Running' && starts(now)) {
      const ip = `10.244.${last >> 8}.${last++ & 255}`
      const at = time(clock.now())
      void client.patch(resources.pods, namespace, name, { metadata: { uid }, status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], startTime: at, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at }] } },
        { type: 'strategic', subresource: 'status' }).catch(ignore)
    }
  })
}

async function setReady(client: Client, pod: Pod, ready: boolean): Promise<void> {
  await client.patch(resources.pods, pod.metadata.namespace, pod.metadata.name,
    { status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: time(Date.now()) }] } }, { type: 'strategic', subresource: 'status' })
}

export const names = (objects: readonly KubeObject[]): string[] => objects.map(keyOf).sort()
