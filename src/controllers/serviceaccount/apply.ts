// The ServiceAccount controller: every namespace has the account `default`, which pods use unless
// they name another.
import type { Namespace, ServiceAccount } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { isAlreadyExists } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'

export function startServiceAccountController(context: Context): void {
  const namespaces = context.informer<Namespace>(resources.namespaces), accounts = context.informer<ServiceAccount>(resources.serviceaccounts)
  const queue = context.run({ name: 'serviceaccount', informers: [namespaces, accounts], workers: 1, sync })

  namespaces.onChange(({ now }) => { if (now) queue.add(now.metadata.name) })
  accounts.onChange(({ old, now }) => { if (!now && old!.metadata.name === 'default') queue.add(old!.metadata.namespace!) })

  async function sync(name: string): Promise<void> {
    const namespace = namespaces.get(name)
    if (!namespace || namespace.metadata.deletionTimestamp || accounts.get(`${name}/default`)) return
    try {
      await context.client.create<ServiceAccount>(resources.serviceaccounts, name, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } })
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error
    }
  }
}
