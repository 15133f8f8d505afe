// The root CA publisher: every namespace has the ConfigMap kube-root-ca.crt, by which pods check the
// API server's certificate (it is part of every pod's projected service account volume).
import type { ConfigMap, Namespace } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { isAlreadyExists } from '#lib/errors.ts'
import { equal } from '#lib/equal.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'

const name = 'kube-root-ca.crt'
const description = 'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'

export function startRootCaPublisher(context: Context, rootCa: string): void {
  const namespaces = context.informer<Namespace>(resources.namespaces), maps = context.informer<ConfigMap>(resources.configmaps)
  const queue = context.run({ name: 'rootca', informers: [namespaces, maps], workers: 1, sync })
  const data = { 'ca.crt': rootCa }

  namespaces.onChange(({ now }) => { if (now) queue.add(now.metadata.name) })
  maps.onChange(({ old, now }) => { if (old && (now ?? old).metadata.name === name) queue.add(old.metadata.namespace!) })

  async function sync(key: string): Promise<void> {
    const namespace = namespaces.get(key), known = maps.get(`${key}/${name}`)
    if (!namespace || namespace.metadata.deletionTimestamp || (known && equal(known.data, data))) return
    try {
      if (known) await context.client.update<ConfigMap>(resources.configmaps, { ...known, data })
      else await context.client.create<ConfigMap>(resources.configmaps, key, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: key, annotations: { 'kubernetes.io/description': description } }, data })
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error
    }
  }
}
