import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { PolicyRule } from '#api/rbac/v1.ts'
import type { Transport } from '#client/transport.ts'
import { StatusError } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'
import { requestInfo } from '../http/requestinfo.ts'
import { createApiServer, type ApiServer } from '../server.ts'
import { ruleAllows, uncovered } from './rules.ts'

const info = (method: string, url: string) => {
  const [path = '', query] = url.split('?')
  return requestInfo(method, path, new URLSearchParams(query))!
}
const rule = (verbs: string, apiGroups: string, resources: string, resourceNames?: string): PolicyRule =>
  ({ verbs: verbs.split(' '), apiGroups: apiGroups.split(' '), resources: resources.split(' '), ...(resourceNames && { resourceNames: resourceNames.split(' ') }) })

describe('what a URL asks for', () => {
  const cases: [method: string, url: string, expected: string][] = [
    ['GET', '/api/v1/namespaces/a/pods', 'list pods in a'],
    ['GET', '/api/v1/namespaces/a/pods?watch=1', 'watch pods in a'],
    ['GET', '/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp', 'list pods/p in a'],
    ['GET', '/api/v1/namespaces/a/pods/p/log', 'get pods/p:log in a'],
    ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection pods in a'],
    ['POST', '/apis/apps/v1/namespaces/a/deployments', 'create apps.deployments in a'],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/scale', 'patch apps.deployments/d:scale in a'],
    ['GET', '/api/v1/namespaces/a', 'get namespaces/a in a'],
    ['PUT', '/api/v1/namespaces/a/finalize', 'update namespaces/a:finalize in a'],
    ['GET', '/api/v1/namespaces', 'list namespaces in '],
    ['PUT', '/api/v1/nodes/n/status', 'update nodes/n:status in '],
    ['GET', '/apis/apps/v1', 'get /apis/apps/v1'],
    ['GET', '/version', 'get /version'],
  ]
  for (const [method, url, expected] of cases) {
    test(`${method} ${url}`, () => {
      const { isResource, verb, group, resource, name, subresource, namespace, path } = info(method, url)
      const what = `${group && `${group}.`}${resource}${name && `/${name}`}${subresource && `:${subresource}`} in ${namespace}`
      assert.equal(`${verb} ${isResource ? what : path}`, expected)
    })
  }
})

describe('a rule', () => {
  const cases: [rule: PolicyRule, method: string, url: string, allowed: boolean][] = [
    [rule('get', '*', 'pods'), 'GET', '/api/v1/namespaces/a/pods/p', true],
    [rule('get', 'apps', 'pods'), 'GET', '/api/v1/namespaces/a/pods/p', false],
    [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }, 'GET', '/api/v1/namespaces/a/pods/p', true],
    [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }, 'GET', '/api/v1/namespaces/a/pods', false],
    [rule('get', '*', 'pods'), 'GET', '/api/v1/namespaces/a/pods/p/log', false],
    [rule('get', '*', 'pods/log'), 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    [rule('get', '*', '*/log'), 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    [rule('get', '*', '*'), 'GET', '/api/v1/namespaces/a/pods/p/log', true],
    [rule('get', '*', 'pods', 'p q'), 'GET', '/api/v1/namespaces/a/pods/q', true],
    [rule('get', '*', 'pods', 'p q'), 'GET', '/api/v1/namespaces/a/pods/r', false],
    [rule('create', '*', 'pods', 'p'), 'POST', '/api/v1/namespaces/a/pods', false],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/apis/*'] }, 'GET', '/apis/apps', true],
    [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/apis/*'] }, 'GET', '/healthz/x', false],
  ]
  for (const [given, method, url, allowed] of cases) test(`${JSON.stringify(given)} ${allowed ? 'allows' : 'does not allow'} ${method} ${url}`, () => { assert.equal(ruleAllows(given, info(method, url)), allowed) })

  test('covers rules that say less', () => {
    const owned = [rule('get list', '*', 'pods */scale'), rule('*', 'apps', 'deployments', 'd')]
    assert.deepEqual(uncovered(owned, [rule('get', 'apps', 'pods deployments/scale'), rule('patch', 'apps', 'deployments', 'd')]), [])
    assert.deepEqual(uncovered(owned, [rule('get delete', 'x', 'pods'), rule('patch', 'apps', 'deployments')]), [rule('delete', 'x', 'pods'), rule('patch', 'apps', 'deployments')])
  })
})

describe('on a server', () => {
  let server: ApiServer, admin: Transport
  const as = (name: string, ...groups: string[]) => server.transport({ name, groups })
  const get = (user: Transport, path: string) => user.request({ method: 'GET', path }).then(() => 'ok', (error: unknown) => (error as StatusError).message)
  const create = (user: Transport, path: string, body: unknown) => user.request({ method: 'POST', path, body }).then(() => 'ok', (error: unknown) => (error as StatusError).message)
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const pods = '/api/v1/namespaces/default/pods'

  before(async () => {
    server = await createApiServer({}, { log: silent })
    admin = as('admin', 'system:masters')
    await create(admin, `${rbac}/namespaces/default/roles`, { metadata: { name: 'reader' }, rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }] })
  })
  after(() => server.close())
  const bind = (name: string, subject: object, roleRef: object = { kind: 'Role', name: 'reader' }) =>
    create(admin, `${rbac}/namespaces/default/rolebindings`, { metadata: { name }, subjects: [subject], roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...roleRef } })

  const apiGroup = 'rbac.authorization.k8s.io'
  const subjects: [what: string, subject: object, user: string, groups: string[]][] = [
    ['a user', { kind: 'User', apiGroup, name: 'ann' }, 'ann', []],
    ['a group', { kind: 'Group', apiGroup, name: 'staff' }, 'bob', ['staff']],
    ['an account', { kind: 'ServiceAccount', name: 'robot', namespace: 'kube-system' }, 'system:serviceaccount:kube-system:robot', []],
  ]
  for (const [index, [what, subject, user, groups]] of subjects.entries()) {
    test(`a binding gives ${what} the rights of the role, in its namespace only`, async () => {
      const denied = `pods is forbidden: User "${user}" cannot list resource "pods" in API group "" in the namespace "default"`
      assert.equal(await get(as(user, ...groups), pods), denied)
      assert.equal(await bind(`b${index}`, subject), 'ok')
      assert.equal(await get(as(user, ...groups), pods), 'ok')
      assert.match(await get(as(user, ...groups), '/api/v1/pods'), /cannot list resource "pods" in API group "" at the cluster scope$/)
      await admin.request({ method: 'DELETE', path: `${rbac}/namespaces/default/rolebindings/b${index}` })
      assert.equal(await get(as(user, ...groups), pods), denied)
    })
  }
  test('a role that is missing is named', async () => {
    await bind('dangling', { kind: 'User', apiGroup, name: 'cem' }, { kind: 'Role', name: 'none' })
    assert.equal(await get(as('cem'), `${pods}/x`), 'pods "x" is forbidden: User "cem" cannot get resource "pods" in API group "" in the namespace "default": RBAC: role.rbac.authorization.k8s.io "none" not found')
  })
  test('everybody may discover, nobody may look further', async () => {
    for (const path of ['/api', '/apis/apps/v1', '/version', '/openapi/v3']) assert.equal(await get(as('dora'), path), 'ok', path)
    assert.equal(await get(as('dora'), '/metrics'), 'forbidden: User "dora" cannot get path "/metrics"')
  })
  test('nobody grants what they do not have', async () => {
    const namespace = `${rbac}/namespaces/default`
    await create(admin, `${namespace}/roles`, { metadata: { name: 'granter' }, rules: [rule('create', 'rbac.authorization.k8s.io', 'roles rolebindings'), rule('get', '*', 'configmaps')] })
    await bind('granter', { kind: 'User', apiGroup, name: 'eve' }, { kind: 'Role', name: 'granter' })
    const eve = as('eve')
    assert.equal(await create(eve, `${namespace}/roles`, { metadata: { name: 'mine' }, rules: [rule('get', 'x', 'configmaps')] }), 'ok')
    assert.equal(await create(eve, `${namespace}/roles`, { metadata: { name: 'more' }, rules: [rule('get', 'x', 'configmaps secrets')] }),
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "eve" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["x"], Resources:["secrets"], Verbs:["get"]}')
    const binding = { metadata: { name: 'up' }, subjects: [{ kind: 'User', apiGroup, name: 'eve' }], roleRef: { apiGroup, kind: 'ClusterRole', name: 'cluster-admin' } }
    assert.match(await create(eve, `${namespace}/rolebindings`, binding), /is attempting to grant RBAC permissions not currently held/)
  })
  test('impersonating needs the right to', async () => {
    assert.match(await get(as('ann'), '/version'), /ok/)
    const review = await admin.request({ method: 'POST', path: '/apis/authorization.k8s.io/v1/subjectaccessreviews', body: { spec: { user: 'ann', resourceAttributes: { verb: 'impersonate', resource: 'users', name: 'bob' } } } })
    assert.deepEqual((review as { status: object }).status, { allowed: false })
  })
  test('the reviews agree with what happens', async () => {
    await bind('fay', { kind: 'User', apiGroup, name: 'fay' })
    const review = async (resourceAttributes: object) => ((await as('fay').request({ method: 'POST', path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', body: { spec: { resourceAttributes } } })) as { status: object }).status
    assert.deepEqual(await review({ verb: 'list', resource: 'pods', namespace: 'default' }), { allowed: true, reason: 'RBAC: allowed by RoleBinding "fay/default" of Role "reader" to User "fay"' })
    assert.deepEqual(await review({ verb: 'delete', resource: 'pods', namespace: 'default' }), { allowed: false })
    const { status } = await as('fay').request({ method: 'POST', path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', body: { spec: { namespace: 'default' } } }) as { status: { resourceRules: PolicyRule[] } }
    assert.ok(status.resourceRules.some(({ verbs, resources }) => verbs.join() === 'get,list' && resources?.join() === 'pods'))
  })
})
