// Nodes.
import type { Node, Taint } from '#api/core/v1.ts'
import { canonicalQuantity } from '#api/quantity.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { since } from './duration.ts'
import { duplicate, each, forbidden, invalids, oneOf, required } from './fields.ts'
import { cidrBlock, dns1123Subdomain, labelValue, qualifiedNameErrors } from './names.ts'
import type { Column, FieldError } from './strategy.ts'

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']

function validateTaints(taints: readonly Taint[] | undefined): FieldError[] {
  const seen = new Set<string>()
  return each('spec.taints', taints, (taint, path) => {
    const errors = invalids(`${path}.key`, taint.key, qualifiedNameErrors(taint.key))
    errors.push(...invalids(`${path}.value`, taint.value, labelValue(taint.value)))
    errors.push(...(taint.effect ? oneOf(`${path}.effect`, taint.effect, effects) : [required(`${path}.effect`)]))
    const key = `${taint.key}:${taint.effect}`
    // Upstream shows the whole taint, and says that keys must be unique per effect.
    if (seen.has(key)) errors.push({ ...duplicate(path, taint), message: `${duplicate(path, taint).message}: taints must be unique by key and effect pair` })
    seen.add(key)
    return errors
  })
}

function validateUpdate(node: Node, old: Node): FieldError[] {
  const errors: FieldError[] = []
  // The controller sets it once; a pod's address stands for its node from then on.
  if (old.spec.podCIDRs?.length && !equal(node.spec.podCIDRs, old.spec.podCIDRs)) errors.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'))
  if (old.spec.providerID && node.spec.providerID !== old.spec.providerID) errors.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'))
  return errors
}

const rolePrefix = 'node-role.kubernetes.io/'

/** findNodeRoles: from labels, sorted. */
function roles({ metadata: { labels = {} } }: Node): string {
  const found = Object.entries(labels).flatMap(([key, value]) =>
    key.startsWith(rolePrefix) ? [key.slice(rolePrefix.length)] : key === 'kubernetes.io/role' ? [value] : []).filter(role => role)
  return found.length === 0 ? '<none>' : [...new Set(found)].sort().join(',')
}

function status({ spec, status: current }: Node): string {
  const ready = current?.conditions?.find(condition => condition.type === 'Ready')
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown']
  if (spec.unschedulable) words.push('SchedulingDisabled')
  return words.join(',')
}

const address = (type: string) => ({ status: current }: Node) => current?.addresses?.find(entry => entry.type === type)?.address ?? '<none>'
const info = (key: 'osImage' | 'kernelVersion' | 'containerRuntimeVersion') => ({ status: current }: Node) => current?.nodeInfo?.[key] || '<unknown>'

const columns: readonly Column<Node>[] = [
  { name: 'Status', description: 'Whether it is ready for pods.', value: status },
  { name: 'Roles', description: 'What its labels say that it is for.', value: roles },
  { name: 'Version', description: 'Its kubelet\'s version.', value: ({ status: current }) => current?.nodeInfo?.kubeletVersion ?? '' },
  { name: 'Internal-IP', wide: true, description: 'Its address in the cluster.', value: address('InternalIP') },
  { name: 'External-IP', wide: true, description: 'Its address outside.', value: address('ExternalIP') },
  { name: 'OS-Image', wide: true, description: 'Its operating system.', value: info('osImage') },
  { name: 'Kernel-Version', wide: true, description: 'Its kernel.', value: info('kernelVersion') },
  { name: 'Container-Runtime', wide: true, description: 'What runs its containers.', value: info('containerRuntimeVersion') },
]

export const nodes = define<Node>({
  resource: resources.nodes,
  statusOnCreate: true,
  name: dns1123Subdomain,
  defaults(draft) {
    const { spec } = draft
    if (spec.podCIDR && !spec.podCIDRs?.length) spec.podCIDRs = [spec.podCIDR]
    else if (spec.podCIDRs?.length) spec.podCIDR = spec.podCIDRs[0]!
    const { capacity, allocatable } = draft.status ?? {}
    for (const list of [capacity, allocatable]) for (const [name, value] of Object.entries(list ?? {})) list![name] = canonicalQuantity(value)
    if (draft.status && capacity && !allocatable) draft.status.allocatable = { ...capacity }
  },
  validate: node => [
    ...validateTaints(node.spec.taints),
    ...each('spec.podCIDRs', node.spec.podCIDRs, (cidr, path) => invalids(path, cidr, cidrBlock(cidr))),
  ],
  validateUpdate,
  selectableFields: node => ({ 'spec.unschedulable': String(node.spec.unschedulable ?? false) }),
  // Upstream's order has Age between Roles and Version.
  columns: [...columns.slice(0, 2), { name: 'Age', description: 'Time since the server accepted the object.', value: (node, now) => since(node.metadata.creationTimestamp, now) }, ...columns.slice(2)],
})
