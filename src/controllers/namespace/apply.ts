// The namespace controller: a namespace that is being deleted is emptied, of every resource that
// the server lists, and then let go.
import type { Namespace } from '#api/core/v1.ts'
import { keyOf, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { namespacedResources } from '#client/discovery.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import type { Clock } from '#lib/clock.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound, StatusError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Context } from '../apply.ts'
import { conditions, finalizerCounts, type Progress } from './content.ts'

/** Pods with grace are looked at again when they should have ended; whatever else is left, after this long. */
const recheckMs = 2_000

export function startNamespaceController(context: Context): void { new NamespaceController(context).watch() }

class NamespaceController {
  readonly #client: Client
  readonly #clock: Clock
  readonly #log: Log
  readonly #namespaces: Informer<Namespace>
  readonly #pods: Informer<KubeObject>
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#client = context.client
    this.#clock = context.clock
    this.#log = context.log.named('namespace')
    this.#namespaces = context.informer<Namespace>(resources.namespaces)
    this.#pods = context.informer(resources.pods)
    this.#queue = context.run({ name: 'namespace', informers: [this.#namespaces], workers: 5, sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#namespaces.onChange(({ now }) => { if (now?.metadata.deletionTimestamp) this.#queue.add(now.metadata.name) })
    // Pods take their grace; the namespace follows the last one at once.
    this.#pods.onChange(({ old, now }) => { if (!now && this.#namespaces.get(old!.metadata.namespace!)?.metadata.deletionTimestamp) this.#queue.add(old!.metadata.namespace!) })
  }

  async #sync(name: string): Promise<void> {
    const namespace = this.#namespaces.get(name)
    if (!namespace?.metadata.deletionTimestamp) return
    if (!namespace.spec.finalizers?.includes('kubernetes')) return
    const progress = await this.#empty(name)
    const done = progress.remaining.size === 0 && progress.discoveryErrors.length === 0 && progress.contentErrors.length === 0
    if (!done) {
      await this.#show(namespace, progress)
      return this.#queue.addAfter(name, recheckMs)
    }
    const current = await this.#client.get<Namespace>(resources.namespaces, undefined, name).catch(ignoreNotFound)
    if (!current || current.metadata.uid !== namespace.metadata.uid) return
    await this.#client.update<Namespace>(resources.namespaces, { ...current, spec: { ...current.spec, finalizers: current.spec.finalizers?.filter(finalizer => finalizer !== 'kubernetes') } }, 'finalize').catch(ignoreNotFound)
  }

  /** Deletes all content and tells what is left. */
  async #empty(name: string): Promise<Progress> {
    const { found, errors } = await namespacedResources(this.#client)
    const remaining = new Map<string, number>(), left: KubeObject[] = [], contentErrors: string[] = []
    await Promise.all(found.map(async resource => {
      try {
        const objects = await this.#deleteAll(resource, name)
        if (objects.length > 0) remaining.set(`${resource.plural}.${resource.group}`, objects.length)
        left.push(...objects)
      } catch (error) {
        if (!isUnsupported(error)) contentErrors.push(`unexpected items still remain in namespace: ${name} for gvr: ${resource.group}/${resource.version}, Resource=${resource.plural}: ${(error as Error).message}`)
      }
    }))
    return { remaining, finalizers: finalizerCounts(left), discoveryErrors: errors, contentErrors }
  }

  /** What is still there afterwards: pods in their grace, objects with finalizers. */
  async #deleteAll(resource: Resource, namespace: string): Promise<KubeObject[]> {
    const { items } = await this.#client.list(resource, namespace)
    if (items.length === 0) return []
    await Promise.all(items.filter(object => !object.metadata.deletionTimestamp).map(object =>
      this.#client.delete(resource, namespace, object.metadata.name, { propagationPolicy: 'Background' }).catch(ignoreNotFound)))
    return (await this.#client.list(resource, namespace)).items
  }

  async #show(namespace: Namespace, progress: Progress): Promise<void> {
    const next = conditions(namespace, progress, this.#clock.now())
    if (equal(next, namespace.status?.conditions)) return
    await this.#client.update<Namespace>(resources.namespaces, { ...namespace, status: { ...namespace.status, conditions: next } }, 'status').catch((error: unknown) => {
      if (!isConflict(error)) return ignoreNotFound(error)
    })
    this.#log.info('waiting for content to go', { namespace: keyOf(namespace), remaining: [...progress.remaining.keys()].join(' ') })
  }
}

const isUnsupported = (error: unknown) => error instanceof StatusError && (error.status.code === 404 || error.status.code === 405)
const ignoreNotFound = (error: unknown): undefined => { if (!isNotFound(error)) throw error }
