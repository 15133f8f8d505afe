// Every kind that is stored, by its key in api/resources.ts. A new kind is one line here.
import { configmaps } from './configmap.ts'
import { controllerrevisions } from './controllerrevision.ts'
import { daemonsets } from './daemonset.ts'
import { deployments } from './deployment.ts'
import { endpoints } from './endpoints.ts'
import { endpointslices } from './endpointslice.ts'
import { events, eventsV1 } from './event.ts'
import { leases } from './lease.ts'
import { namespaces } from './namespace.ts'
import { nodes } from './node.ts'
import { pods } from './pod/strategy.ts'
import { clusterrolebindings, clusterroles, rolebindings, roles } from './rbac.ts'
import { replicasets } from './replicaset.ts'
import { secrets } from './secret.ts'
import { services } from './service/strategy.ts'
import { serviceaccounts } from './serviceaccount.ts'
import { statefulsets } from './statefulset.ts'
import type { Strategy } from './strategy.ts'

/** Keyed as `resources` is; the create-only review kinds have none. */
export const strategies: ReadonlyMap<string, Strategy> = new Map<string, Strategy>(Object.entries({
  namespaces, nodes, pods, services, endpoints, configmaps, secrets, serviceaccounts, events, deployments, replicasets,
  statefulsets, daemonsets, controllerrevisions, endpointslices, leases, eventsV1, roles, rolebindings, clusterroles, clusterrolebindings,
}))
