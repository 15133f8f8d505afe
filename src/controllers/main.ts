// All controllers in one process, over one set of informers (kube-controller-manager's part).
import type { Client } from '#client/client.ts'
import { systemClock, type Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Cidr } from '#net/ip.ts'
import { startContext } from './apply.ts'
import { startDaemonSetController } from './daemonset/apply.ts'
import { startDeploymentController } from './deployment/apply.ts'
import { startEndpointsController } from './endpoints/apply.ts'
import { startEndpointSliceController } from './endpointslice/apply.ts'
import { startEndpointSliceMirroringController } from './endpointslicemirroring/apply.ts'
import { startGarbageCollector } from './garbagecollector/apply.ts'
import { startNamespaceController } from './namespace/apply.ts'
import { startNodeController } from './node/apply.ts'
import { startPodGarbageCollector } from './podgc/apply.ts'
import { startReplicaSetController } from './replicaset/apply.ts'
import { startRootCaPublisher } from './rootca/apply.ts'
import { startServiceAccountController } from './serviceaccount/apply.ts'
import { startStatefulSetController } from './statefulset/apply.ts'

export interface ControllersOptions {
  readonly log: Log
  /** Ends them all. */
  readonly signal: AbortSignal
  /** PEM, published as the ConfigMap kube-root-ca.crt. */
  readonly rootCa: string
  readonly clusterCidr: Cidr
  /** Prefix length of a node's own pod range. */
  readonly nodeCidrMaskSize: number
  readonly clock?: Clock
}

export interface Controllers {
  /** Once every informer has its first list. */
  readonly ready: Promise<void>
  /** Resolves when what was begun is done; the signal must have aborted. */
  stop(): Promise<void>
}

export function startControllers(client: Client, options: ControllersOptions): Controllers {
  const context = startContext({ client, log: options.log, signal: options.signal, clock: options.clock ?? systemClock })
  startReplicaSetController(context)
  startDeploymentController(context)
  startDaemonSetController(context)
  startStatefulSetController(context)
  startEndpointSliceController(context)
  startEndpointsController(context)
  startEndpointSliceMirroringController(context)
  startServiceAccountController(context)
  startRootCaPublisher(context, options.rootCa)
  startNamespaceController(context)
  startNodeController(context, options)
  startPodGarbageCollector(context)
  startGarbageCollector(context)
  const ready = context.ready()
  ready.catch(() => {}) // the signal came first
  return { ready, stop: context.stopped }
}
