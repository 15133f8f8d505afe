// ServiceAccounts: who a pod is. Their tokens are made by the server's `token` subresource.
import type { ServiceAccount } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { dns1123Subdomain } from './names.ts'

export const serviceaccounts = define<ServiceAccount>({
  resource: resources.serviceaccounts,
  name: dns1123Subdomain,
  columns: [{ name: 'Secrets', type: 'integer', description: 'Number of secrets that its pods may use.', value: account => account.secrets?.length ?? 0 }],
})
