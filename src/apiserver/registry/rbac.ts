// Roles and bindings: what rules may say and who may be bound. Whether a user may grant them
// (escalation) is the authorizer's question, not theirs.
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject } from '#api/rbac/v1.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { each, invalid, invalids, notSupported, required } from './fields.ts'
import { validateLabelSelector } from './labels.ts'
import { dns1123Subdomain, pathSegment } from './names.ts'
import type { Column, FieldError } from './strategy.ts'

const group = 'rbac.authorization.k8s.io'
type Binding = RoleBinding | ClusterRoleBinding

function validateRule(rule: PolicyRule, path: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = rule.verbs?.length ? [] : [required(`${path}.verbs`, 'verbs must contain at least one value')]
  if (rule.nonResourceURLs?.length) {
    if (namespaced) errors.push(invalid(`${path}.nonResourceURLs`, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'))
    if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
      errors.push(invalid(`${path}.nonResourceURLs`, rule.nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs'))
    return errors
  }
  if (!rule.apiGroups?.length) errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'))
  if (!rule.resources?.length) errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'))
  return errors
}

function validateSubject(subject: Subject, path: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = subject.name ? [] : [required(`${path}.name`)]
  if (subject.kind === 'ServiceAccount') {
    if (subject.name) errors.push(...invalids(`${path}.name`, subject.name, dns1123Subdomain(subject.name)))
    if (subject.apiGroup) errors.push(notSupported(`${path}.apiGroup`, subject.apiGroup, ['']))
    if (!namespaced && !subject.namespace) errors.push(required(`${path}.namespace`))
  } else if (subject.kind === 'User' || subject.kind === 'Group') {
    if (subject.apiGroup !== group) errors.push(notSupported(`${path}.apiGroup`, subject.apiGroup, [group]))
  } else errors.push(notSupported(`${path}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']))
  return errors
}

function validateRoleRef(ref: RoleRef | undefined, kinds: readonly string[]): FieldError[] {
  return [
    ...(ref?.apiGroup === group ? [] : [notSupported('roleRef.apiGroup', ref?.apiGroup, [group])]),
    ...(kinds.includes(ref?.kind ?? '') ? [] : [notSupported('roleRef.kind', ref?.kind, kinds)]),
    ...(ref?.name ? invalids('roleRef.name', ref.name, pathSegment(ref.name)) : [required('roleRef.name')]),
  ]
}

function defaultBinding(draft: Binding): void {
  if (draft.roleRef) draft.roleRef.apiGroup ||= group
  for (const subject of draft.subjects ?? []) {
    if (subject.apiGroup === undefined && (subject.kind === 'User' || subject.kind === 'Group')) subject.apiGroup = group
  }
}

const roleRefUpdate = (binding: Binding, old: Binding): FieldError[] =>
  equal(binding.roleRef, old.roleRef) ? [] : [invalid('roleRef', binding.roleRef, 'cannot change roleRef')]

// Upstream's printer shows roles' creation time in place of their age.
const created: Column<Role | ClusterRole> = { name: 'Created At', type: 'date', description: 'When the server accepted it.',
  value: role => role.metadata.creationTimestamp ?? '<unknown>' }

const bindingColumns: readonly Column<Binding>[] = [
  { name: 'Role', description: 'What is granted.', value: binding => `${binding.roleRef.kind}/${binding.roleRef.name}` },
  { name: 'Users', wide: true, description: 'Users it is granted to.', value: binding => subjectsOf(binding, 'User') },
  { name: 'Groups', wide: true, description: 'Groups it is granted to.', value: binding => subjectsOf(binding, 'Group') },
  { name: 'ServiceAccounts', wide: true, description: 'Service accounts it is granted to.', value: binding => subjectsOf(binding, 'ServiceAccount') },
]
const subjectsOf = (binding: Binding, kind: string) => (binding.subjects ?? []).filter(subject => subject.kind === kind)
  .map(({ namespace, name }) => kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name).join(', ')

export const roles = define<Role>({
  resource: resources.roles, name: pathSegment,
  validate: role => each('rules', role.rules, (rule, path) => validateRule(rule, path, true)),
  columns: [created],
})

export const clusterroles = define<ClusterRole>({
  resource: resources.clusterroles, name: pathSegment,
  validate: role => [
    ...each('rules', role.rules, (rule, path) => validateRule(rule, path, false)),
    ...(role.aggregationRule && !role.aggregationRule.clusterRoleSelectors?.length
      ? [required('aggregationRule.clusterRoleSelectors', 'at least one clusterRoleSelector required if aggregationRule is non-nil')] : []),
    ...each('aggregationRule.clusterRoleSelectors', role.aggregationRule?.clusterRoleSelectors, validateLabelSelector),
  ],
  columns: [created],
})

export const rolebindings = define<RoleBinding>({
  resource: resources.rolebindings, name: pathSegment,
  defaults: defaultBinding,
  validate: binding => [
    ...validateRoleRef(binding.roleRef, ['Role', 'ClusterRole']),
    ...each('subjects', binding.subjects, (subject, path) => validateSubject(subject, path, true)),
  ],
  validateUpdate: roleRefUpdate,
  columns: bindingColumns,
})

export const clusterrolebindings = define<ClusterRoleBinding>({
  resource: resources.clusterrolebindings, name: pathSegment,
  defaults: defaultBinding,
  validate: binding => [
    ...validateRoleRef(binding.roleRef, ['ClusterRole']),
    ...each('subjects', binding.subjects, (subject, path) => validateSubject(subject, path, false)),
  ],
  validateUpdate: roleRefUpdate,
  columns: bindingColumns,
})
