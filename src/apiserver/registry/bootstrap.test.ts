// The bootstrap policy is itself valid, complete for those who depend on it, and names what exists.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterRole, ClusterRoleBinding, RoleBinding } from '#api/rbac/v1.ts'
import { resourceOfKind, resources } from '#api/resources.ts'
import { bootstrapPolicy } from './bootstrap.ts'
import { strategies } from './strategies.ts'
import { refusals } from './testing.ts'

const policy = bootstrapPolicy()
const named = <T>(kind: string) => policy.filter(object => object.kind === kind) as T[]

test('every object is valid and unique', () => {
  const seen = new Set<string>()
  for (const object of policy) {
    const resource = resourceOfKind(object.apiVersion!, object.kind!)!
    const key = Object.entries(resources).find(([, one]) => one === resource)![0]
    assert.deepEqual(refusals(strategies.get(key) as never, object), [], object.metadata.name)
    const id = `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`
    assert.ok(!seen.has(id), id)
    seen.add(id)
    assert.equal(object.metadata.labels!['kubernetes.io/bootstrapping'], 'rbac-defaults')
  }
})

test('every binding names a role that is there', () => {
  const roles = new Set(policy.map(object => `${object.kind}/${object.metadata.name}`))
  for (const binding of [...named<ClusterRoleBinding>('ClusterRoleBinding'), ...named<RoleBinding>('RoleBinding')])
    assert.ok(roles.has(`${binding.roleRef.kind}/${binding.roleRef.name}`), binding.metadata.name)
})

test('the names that kubectl get clusterroles shows', () => {
  const names = named<ClusterRole>('ClusterRole').map(role => role.metadata.name)
  for (const name of ['admin', 'cluster-admin', 'edit', 'view', 'system:basic-user', 'system:discovery', 'system:public-info-viewer', 'system:node', 'system:node-proxier', 'system:kube-scheduler',
    'system:kube-controller-manager', 'system:coredns', 'system:kubelet-api-admin', 'system:service-account-issuer-discovery']) assert.ok(names.includes(name), name)
})

test('who is bound to what', () => {
  const subjects = Object.fromEntries(named<ClusterRoleBinding>('ClusterRoleBinding').map(binding => [binding.metadata.name, (binding.subjects ?? []).map(({ kind, name }) => `${kind} ${name}`)]))
  assert.deepEqual(subjects['cluster-admin'], ['Group system:masters'])
  assert.deepEqual(subjects['system:node'], ['Group system:nodes'])
  assert.deepEqual(subjects['system:node-proxier'], ['User system:kube-proxy', 'ServiceAccount kube-proxy'])
  assert.deepEqual(subjects['system:kubelet-api-admin'], ['User kube-apiserver-kubelet-client'])
})

test('a viewer sees no secrets and writes nothing', () => {
  const view = named<ClusterRole>('ClusterRole').find(role => role.metadata.name === 'view')!
  for (const { verbs, resources: list } of view.rules!) {
    assert.deepEqual(verbs, ['get', 'list', 'watch'])
    assert.ok(!list!.includes('secrets'))
  }
})

test('each call gives objects of its own', () => {
  const first = bootstrapPolicy()
  first[0]!.metadata.labels!.changed = 'yes'
  assert.equal(bootstrapPolicy()[0]!.metadata.labels!.changed, undefined)
})
