// The namespace controller: a namespace that is being deleted is emptied, of every resource that
// the server lists, and then let go.
import type { Namespace } from '#api/core/v1.ts'
import { keyOf, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { namespacedResources } from '#client/discovery.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound, StatusError } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { conditions, finalizerCounts, type Progress } from './content.ts'

/** Pods with grace are looked at again when they should have ended; whatever else is left, after this long. */
const recheckMs = 2_000

export function startNamespaceController(context: Context): void {
  const { client, clock } = context
  const namespaces = context.informer<Namespace>(resources.namespaces), pods = context.informer(resources.pods)
  const queue = context.run({ name: 'namespace', informers: [namespaces], workers: 5, sync })

  namespaces.onChange(({ now }) => { if (now?.metadata.deletionTimestamp) queue.add(now.metadata.name) })
  // Pods take their grace; the namespace follows the last one at once.
  pods.onChange(({ old, now }) => { if (!now && namespaces.get(old!.metadata.namespace!)?.metadata.deletionTimestamp) queue.add(old!.metadata.namespace!) })

  async function sync(name: string): Promise<void> {
    const namespace = namespaces.get(name)
    if (!namespace?.metadata.deletionTimestamp) return
    if (!namespace.spec.finalizers?.includes('kubernetes')) return
    const progress = await empty(name)
    const done = progress.remaining.size === 0 && progress.discoveryErrors.length === 0 && progress.contentErrors.length === 0
    if (!done) {
      await show(namespace, progress)
      return queue.addAfter(name, recheckMs)
    }
    const current = await client.get<Namespace>(resources.namespaces, undefined, name).catch(ignoreNotFound)
    if (!current || current.metadata.uid !== namespace.metadata.uid) return
    await client.update<Namespace>(resources.namespaces, { ...current, spec: { ...current.spec, finalizers: current.spec.finalizers?.filter(finalizer => finalizer !== 'kubernetes') } }, 'finalize').catch(ignoreNotFound)
  }

  /** Deletes all content and tells what is left. */
  async function empty(name: string): Promise<Progress> {
    const { found, errors } = await namespacedResources(client)
    const remaining = new Map<string, number>(), left: KubeObject[] = [], contentErrors: string[] = []
    await Promise.all(found.map(async resource => {
      try {
        const objects = await deleteAll(resource, name)
        if (objects.length > 0) remaining.set(`${resource.plural}.${resource.group}`, objects.length)
        left.push(...objects)
      } catch (error) {
        if (!isUnsupported(error)) contentErrors.push(`unexpected items still remain in namespace: ${name} for gvr: ${resource.group}/${resource.version}, Resource=${resource.plural}: ${(error as Error).message}`)
      }
    }))
    return { remaining, finalizers: finalizerCounts(left), discoveryErrors: errors, contentErrors }
  }

  /** What is still there afterwards: pods in their grace, objects with finalizers. */
  async function deleteAll(resource: Resource, namespace: string): Promise<KubeObject[]> {
    const { items } = await client.list(resource, namespace)
    if (items.length === 0) return []
    await Promise.all(items.filter(object => !object.metadata.deletionTimestamp).map(object =>
      client.delete(resource, namespace, object.metadata.name, { propagationPolicy: 'Background' }).catch(ignoreNotFound)))
    return (await client.list(resource, namespace)).items
  }

  async function show(namespace: Namespace, progress: Progress): Promise<void> {
    const next = conditions(namespace, progress, clock.now())
    if (equal(next, namespace.status?.conditions)) return
    await client.update<Namespace>(resources.namespaces, { ...namespace, status: { ...namespace.status, conditions: next } }, 'status').catch((error: unknown) => {
      if (!isConflict(error)) return ignoreNotFound(error)
    })
    context.log.named('namespace').info('waiting for content to go', { namespace: keyOf(namespace), remaining: [...progress.remaining.keys()].join(' ') })
  }
}

const isUnsupported = (error: unknown) => error instanceof StatusError && (error.status.code === 404 || error.status.code === 405)
const ignoreNotFound = (error: unknown): undefined => { if (!isNotFound(error)) throw error }
