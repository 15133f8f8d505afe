// The pod garbage collector: looks now and then, as upstream does; nothing waits for it.
import type { Node, Pod } from '#api/core/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import { time } from '#lib/clock.ts'
import type { Context } from '../apply.ts'
import { isTerminal } from '../pods/state.ts'
import { candidates } from './candidates.ts'

const periodMs = 20_000, quarantineMs = 40_000

export function startPodGarbageCollector(context: Context): void {
  const { client, clock, signal, log } = context
  const pods = context.informer<Pod>(resources.pods), nodes = context.informer<Node>(resources.nodes)
  /** Names of nodes that pods speak of and that are not there, since when. */
  const missing = new Map<string, number>()
  const queue = context.run({ name: 'podgc', informers: [pods, nodes], workers: 1, sync })
  queue.add('all')
  // A pod deleted before it had a node has no kubelet to end it: nobody should wait for the next round.
  pods.onChange(({ now }) => { if (now?.metadata.deletionTimestamp && !now.spec.nodeName) queue.add('all') })

  async function sync(): Promise<void> {
    const found = candidates(pods.list(), name => nodes.get(name) !== undefined)
    const names = new Set(found.orphaned.map(pod => pod.spec.nodeName!))
    for (const name of missing.keys()) if (!names.has(name)) missing.delete(name)
    for (const name of names) if (!missing.has(name)) missing.set(name, clock.now())
    const orphaned: Pod[] = []
    for (const name of names) if (clock.now() - missing.get(name)! >= quarantineMs && await isGone(name)) orphaned.push(...found.orphaned.filter(pod => pod.spec.nodeName === name))
    await Promise.all([...found.finished, ...found.unscheduled].map(pod => remove(pod)))
    await Promise.all(orphaned.map(pod => remove(pod, 'DeletionByPodGC')))
    if (!signal.aborted) queue.addAfter('all', periodMs)
  }

  async function isGone(name: string): Promise<boolean> {
    return client.get(resources.nodes, undefined, name).then(() => false, (error: unknown) => { if (isNotFound(error)) return true; throw error })
  }

  async function remove(pod: Pod, disruption?: string): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    try {
      if (disruption && !isTerminal(pod)) {
        const condition = { type: 'DisruptionTarget', status: 'True', reason: disruption, message: 'PodGC: node no longer exists', lastTransitionTime: time(clock.now()) }
        await client.patch(resources.pods, namespace, name, { status: { phase: 'Failed', conditions: [condition] } }, { type: 'strategic', subresource: 'status' })
      }
      await client.delete(resources.pods, namespace, name, { gracePeriodSeconds: 0, preconditions: { uid } })
      log.info('removed a pod that nobody would end', { pod: keyOf(pod) })
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error
    }
  }
}
