// The config maps and secrets that this node's pods refer to, and nothing more: each watched by name
// while a pod needs it (upstream's watch-based manager). Answers from memory.
import type { ConfigMap, Pod, Secret } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { startInformer, type Informer } from '#client/informer.ts'
import type { Log } from '#lib/log.ts'
import type { ObjectLookup } from '../containers/env.ts'
import { references } from '../pods/references.ts'

type Watched = ConfigMap | Secret
interface Entry { readonly informer: Informer<Watched>; readonly abort: AbortController; readonly users: Set<string>; synced: boolean }

export interface ObjectCache extends ObjectLookup {
  /** Watches what a pod refers to; resolves when all of it has been read once. */
  register(pod: Pod): Promise<void>
  unregister(uid: string): void
  /** Which pods refer to an object that changed. */
  onChange(listener: (uid: string) => void): void
}

export function objectCache(client: Client, { log, signal }: { log: Log; signal: AbortSignal }): ObjectCache {
  const entries = new Map<string, Entry>()
  const byPod = new Map<string, string[]>()
  const listeners: ((uid: string) => void)[] = []
  const watch = (key: string, kind: 'configmaps' | 'secrets', namespace: string, name: string): Entry => {
    const abort = new AbortController()
    signal.addEventListener('abort', () => abort.abort(), { once: true, signal: abort.signal })
    const informer = startInformer<Watched>(client, resources[kind], { namespace, fieldSelector: `metadata.name=${name}`, log, signal: abort.signal })
    const entry: Entry = { informer, abort, users: new Set(), synced: false }
    informer.synced.then(() => { entry.synced = true }, () => {})
    // The first read is the registration's business; changes after it are news.
    informer.onChange(() => { if (entry.synced) for (const uid of entry.users) for (const listener of listeners) listener(uid) })
    entries.set(key, entry)
    return entry
  }
  const find = <T extends Watched>(kind: string, namespace: string, name: string): T | undefined =>
    entries.get(`${kind}/${namespace}/${name}`)?.informer.get(`${namespace}/${name}`) as T | undefined
  const release = (uid: string) => {
    for (const key of byPod.get(uid) ?? []) {
      const entry = entries.get(key)!
      entry.users.delete(uid)
      if (entry.users.size === 0) { entry.abort.abort(); entries.delete(key) }
    }
    byPod.delete(uid)
  }
  return {
    configMap: (namespace, name) => find<ConfigMap>('configmaps', namespace, name),
    secret: (namespace, name) => find<Secret>('secrets', namespace, name),
    async register(pod) {
      const { uid, namespace } = pod.metadata as { uid: string; namespace: string }
      const wanted = references(pod).map(({ kind, name }) => ({ kind, name, key: `${kind}/${namespace}/${name}` }))
      if (!byPod.has(uid)) {
        byPod.set(uid, wanted.map(({ key }) => key))
        for (const { key, kind, name } of wanted) (entries.get(key) ?? watch(key, kind, namespace, name)).users.add(uid)
      }
      await Promise.all(wanted.map(({ key }) => entries.get(key)?.informer.synced))
    },
    unregister: release,
    onChange: listener => { listeners.push(listener) },
  }
}
