// Leases: who leads, and that a node is alive.
import type { Lease } from '#api/coordination/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { forbidden, invalid, negative, notSupported } from './fields.ts'
import { dns1123Subdomain } from './names.ts'

export const leases = define<Lease>({
  resource: resources.leases,
  name: dns1123Subdomain,
  defaults(draft) { draft.spec ??= {} },
  validate({ spec }) {
    return [
      ...(spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0
        ? [invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0')] : []),
      ...(spec.leaseTransitions !== undefined && spec.leaseTransitions < 0
        ? [invalid('spec.leaseTransitions', spec.leaseTransitions, negative)] : []),
      ...(spec.strategy !== undefined && spec.strategy !== 'OldestEmulationVersion' && !spec.strategy.includes('/')
        ? [notSupported('spec.strategy', spec.strategy, ['OldestEmulationVersion'])] : []),
      ...(spec.preferredHolder && !spec.strategy
        ? [forbidden('spec.preferredHolder', 'may only be specified when `strategy` is defined')] : []),
    ]
  },
  columns: [{ name: 'Holder', description: 'Who has it now.', value: lease => lease.spec.holderIdentity ?? '' }],
})
