// Keeps a catalog like the cluster: connects to the API server and watches what DNS needs of it. The
// watches heal by themselves (client/informer.ts); until they have, the catalog stays as it was.
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport, type HttpsOptions } from '#client/https.ts'
import { startInformer, type Handler, type Informer } from '#client/informer.ts'
import { inClusterConfig, readKubeconfig } from '#client/kubeconfig.ts'
import type { Transport } from '#client/transport.ts'
import { UserError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { counted, type KubernetesMetrics } from './metrics.ts'
import type { Catalog } from './catalog.ts'
import type { Api, KubernetesOptions } from './config.ts'
import { slimNamespace, slimPod, slimService, slimSlice, type Strip } from './objects.ts'
import { slimTransport } from './slim.ts'

/** Throws a UserError that says what is missing. */
export function connect(api: Api): { transport: Transport; server: string } {
  const options = api.endpoint ? { server: api.endpoint, ...readTls(api.tls) } : api.kubeconfig ? readKubeconfig(api.kubeconfig.file, api.kubeconfig.context) : inClusterConfig()
  return { transport: httpsTransport(options), server: options.server }
}

function readTls(files: Api['tls']): Partial<HttpsOptions> {
  if (!files) return {}
  const read = (file: string) => {
    try { return readFileSync(file) } catch (error) { throw new UserError(`kubernetes: cannot read ${file} of tls: ${(error as Error).message}`) }
  }
  return { cert: read(files.cert), key: read(files.key), ca: read(files.ca) }
}

/** Addresses of this machine (in a pod: the pod's), without loopback. */
export const localAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap(all => all ?? []).filter(({ internal, address }) => !internal && !address.startsWith('fe80:')).map(({ address }) => address)

export interface Watching {
  /** Resolves once everything was listed. */
  readonly synced: Promise<void>
  stop(): void
}

export interface WatchContext { readonly log: Log; readonly metrics: KubernetesMetrics; readonly now: () => number }

export function watchCluster({ transport, server }: { transport: Transport; server: string }, catalog: Catalog, options: KubernetesOptions, { log, metrics, now }: WatchContext): Watching {
  const ending = new AbortController()
  const counting = counted(transport, { server, metrics, now })
  const { labels, namespaceLabels } = options
  const watch = <T extends KubeObject>(resource: Resource, { strip, parts, change, ...selectors }: { strip: Strip<T>; parts?: (object: T) => number; change: Handler<T>; labelSelector?: string | undefined; fieldSelector?: string }): Promise<void> => {
    let informer: Informer<T> | undefined
    const client = new Client(slimTransport(counting, { strip, ...(parts && { parts }), known: key => informer?.get(key) }))
    informer = startInformer<T>(client, resource, { log, signal: ending.signal, ...definedOnly(selectors) })
    informer.onChange(change)
    return informer.synced
  }
  const all = [
    watch<Namespace>(resources.namespaces, { strip: slimNamespace, labelSelector: namespaceLabels, change: ({ old, now }) => catalog.changeNamespace(old, now) }),
    watch<Service>(resources.services, { strip: slimService, labelSelector: labels, change: ({ old, now }) => catalog.changeService(old, now) }),
  ]
  if (!options.noEndpoints) all.push(watch<EndpointSlice>(resources.endpointslices, { strip: slimSlice, parts: ({ endpoints }) => endpoints?.length ?? 0, labelSelector: labels, change: ({ old, now: slice }) => {
    catalog.changeSlice(old, slice)
    if (catalog.synced && slice) metrics.programmed(catalog, slice, now())
  } }))
  if (options.pods === 'verified') all.push(watch<Pod>(resources.pods, { strip: slimPod, labelSelector: labels, fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown', change: ({ old, now }) => catalog.changePod(old, now) }))
  const synced = Promise.all(all).then(() => { catalog.synced = true })
  synced.catch(() => {}) // stopped before it was synced
  return { synced, stop: () => { ending.abort(); transport.close() } }
}

const definedOnly = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
