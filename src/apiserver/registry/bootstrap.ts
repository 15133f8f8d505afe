// The roles and bindings that a cluster is born with (plugin/pkg/auth/authorizer/rbac/bootstrappolicy),
// cut to the kinds that are served. The server writes those that are missing at each start.
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from '#api/rbac/v1.ts'
import type { KubeObject } from '#api/object.ts'

const group = 'rbac.authorization.k8s.io'
const apiVersion = `${group}/v1`
const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' }

const read = ['get', 'list', 'watch']
const write = ['create', 'update', 'patch', 'delete', 'deletecollection']
const all = [...read, ...write]

/** `apps: deployments replicasets`; the core group is ''. */
const rule = (verbs: readonly string[], apiGroup: string, resources: string, resourceNames?: string[]): PolicyRule =>
  ({ verbs: [...verbs], apiGroups: [apiGroup], resources: resources.split(' '), ...(resourceNames && { resourceNames }) })
const urls = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs })
const eventRules = [rule(['create', 'patch', 'update'], '', 'events'), rule(['create', 'patch', 'update'], 'events.k8s.io', 'events')]

const clusterRole = (name: string, rules: PolicyRule[], more: Partial<ClusterRole> = {}, extraLabels: Record<string, string> = {}): ClusterRole =>
  ({ apiVersion, kind: 'ClusterRole', metadata: { name, labels: { ...labels, ...extraLabels }, annotations: { ...annotations } }, rules, ...more })

const user = (name: string): Subject => ({ apiGroup: group, kind: 'User', name })
const groupOf = (name: string): Subject => ({ apiGroup: group, kind: 'Group', name })
const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' })

const clusterRoleBinding = (name: string, role: string, subjects: Subject[]): ClusterRoleBinding =>
  ({ apiVersion, kind: 'ClusterRoleBinding', metadata: { name, labels: { ...labels }, annotations: { ...annotations } },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: role }, subjects })

const review = (kind: string) => rule(['create'], 'authorization.k8s.io', kind)

// Upstream splits these three into aggregate-to-* roles, which its aggregation controller joins.
const viewRules = [
  rule(read, '', 'configmaps endpoints serviceaccounts services services/status pods pods/log pods/status namespaces namespaces/status events'),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(read, 'apps', 'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status'),
  rule(read, 'events.k8s.io', 'events'),
]
const editRules = [
  rule(read, '', 'pods/attach pods/exec secrets services/proxy'),
  rule(['impersonate'], '', 'serviceaccounts'),
  rule(write, '', 'pods pods/attach pods/exec'),
  rule(['create'], '', 'pods/eviction serviceaccounts/token'),
  rule(write, '', 'configmaps events secrets serviceaccounts services'),
  rule(write, 'apps', 'daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale'),
]
const adminRules = [
  review('localsubjectaccessreviews'),
  rule(all, group, 'roles rolebindings'),
]
const aggregated = (role: string): Partial<ClusterRole> => ({ aggregationRule: {
  clusterRoleSelectors: [{ matchLabels: { [`rbac.authorization.k8s.io/aggregate-to-${role}`]: 'true' } }] } })
const aggregatesTo = (role: string) => ({ [`rbac.authorization.k8s.io/aggregate-to-${role}`]: 'true' })

const userRoles = (): ClusterRole[] => [
  clusterRole('cluster-admin', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }]),
  clusterRole('admin', [...adminRules, ...editRules, ...viewRules], aggregated('admin')),
  clusterRole('edit', [...editRules, ...viewRules], aggregated('edit'), aggregatesTo('admin')),
  clusterRole('view', viewRules, aggregated('view'), aggregatesTo('edit')),
  clusterRole('system:aggregate-to-admin', adminRules, {}, aggregatesTo('admin')),
  clusterRole('system:aggregate-to-edit', editRules, {}, aggregatesTo('edit')),
  clusterRole('system:aggregate-to-view', viewRules, {}, aggregatesTo('view')),
]

const health = ['/healthz', '/livez', '/readyz', '/version', '/version/']

const discoveryRoles = (): ClusterRole[] => [
  clusterRole('system:discovery', [urls('/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/openapi', '/openapi/*', '/readyz', '/version', '/version/')]),
  clusterRole('system:public-info-viewer', [urls(...health)]),
  clusterRole('system:basic-user', [review('selfsubjectaccessreviews selfsubjectrulesreviews'), rule(['create'], 'authentication.k8s.io', 'selfsubjectreviews')]),
  clusterRole('system:monitoring', [urls('/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/metrics/slis', '/readyz', '/readyz/*')]),
  clusterRole('system:service-account-issuer-discovery', [urls('/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks', '/openid/v1/jwks/')]),
  clusterRole('system:auth-delegator', [rule(['create'], 'authentication.k8s.io', 'tokenreviews'), review('subjectaccessreviews')]),
  clusterRole('system:kubelet-api-admin', [rule(read, '', 'nodes'), rule(['proxy'], '', 'nodes'),
    rule(['*'], '', 'nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats')]),
]

/** What a kubelet needs. Upstream's Node authorizer narrows this to a node's own pods; here it is a plain role. */
const nodeRules = (): PolicyRule[] => [
  rule(['create'], 'authentication.k8s.io', 'tokenreviews'), review('subjectaccessreviews localsubjectaccessreviews'),
  rule(read, '', 'services'), rule(['create', ...read], '', 'nodes'), rule(['patch', 'update'], '', 'nodes nodes/status'),
  ...eventRules, rule(read, '', 'pods'), rule(['create', 'delete'], '', 'pods'), rule(['patch', 'update'], '', 'pods/status'),
  rule(['create'], '', 'pods/eviction serviceaccounts/token'), rule(read, '', 'configmaps secrets'), rule(read, '', 'serviceaccounts namespaces'),
  rule(['get'], '', 'endpoints'), rule(['create', 'delete', 'get', 'patch', 'update'], 'coordination.k8s.io', 'leases'),
]
const proxyRules = (): PolicyRule[] => [
  rule(['list', 'watch'], '', 'endpoints services'), rule(read, '', 'nodes'), ...eventRules,
  rule(['list', 'watch'], 'discovery.k8s.io', 'endpointslices'),
]
const schedulerRules = (): PolicyRule[] => [
  ...eventRules, rule(['create', 'get', 'list', 'patch', 'update', 'watch'], 'coordination.k8s.io', 'leases'),
  rule(read, '', 'nodes namespaces'), rule(['delete', ...read], '', 'pods'),
  rule(['create'], '', 'bindings pods/binding'), rule(['patch', 'update'], '', 'pods/status'),
  rule(read, '', 'services'), rule(read, 'apps', 'replicasets statefulsets'), rule(['create'], 'authentication.k8s.io', 'tokenreviews'),
  review('subjectaccessreviews'),
]
const controllerManagerRules = (): PolicyRule[] => [
  ...eventRules, rule(['create', 'get', 'list', 'patch', 'update', 'watch'], 'coordination.k8s.io', 'leases'),
  rule(['create', 'get', 'update', 'delete'], '', 'secrets serviceaccounts configmaps'), rule(['create'], '', 'serviceaccounts/token'),
  rule(['create'], 'authentication.k8s.io', 'tokenreviews'), review('subjectaccessreviews'),
  { verbs: ['list', 'watch', 'get'], apiGroups: ['*'], resources: ['*'] },
  // Upstream's controllers each have a role (system:controller:*); here one process holds their sum.
  { verbs: ['patch', 'update', 'delete', 'deletecollection'], apiGroups: ['*'], resources: ['*'] },
  rule(['create'], '', 'pods endpoints'), rule(['create'], 'apps', 'replicasets controllerrevisions'),
  rule(['create'], 'discovery.k8s.io', 'endpointslices'), rule(['update'], '', 'namespaces/finalize'),
]
const dnsRules = (): PolicyRule[] => [
  rule(['list', 'watch'], '', 'endpoints services pods namespaces'), rule(['get'], '', 'nodes'),
  rule(['list', 'watch'], 'discovery.k8s.io', 'endpointslices'),
]

const componentRoles = (): ClusterRole[] => [
  clusterRole('system:node', nodeRules()),
  clusterRole('system:node-proxier', proxyRules()),
  clusterRole('system:kube-scheduler', schedulerRules()),
  clusterRole('system:kube-controller-manager', controllerManagerRules()),
  clusterRole('system:kube-dns', [rule(['list', 'watch'], '', 'endpoints services')]),
  clusterRole('system:coredns', dnsRules()),
  clusterRole('system:heapster', [rule(read, '', 'events pods nodes namespaces'), rule(read, 'apps', 'deployments')]),
]

const bindings = (): ClusterRoleBinding[] => [
  clusterRoleBinding('cluster-admin', 'cluster-admin', [groupOf('system:masters')]),
  clusterRoleBinding('system:basic-user', 'system:basic-user', [groupOf('system:authenticated')]),
  clusterRoleBinding('system:discovery', 'system:discovery', [groupOf('system:authenticated')]),
  clusterRoleBinding('system:public-info-viewer', 'system:public-info-viewer', [groupOf('system:authenticated'), groupOf('system:unauthenticated')]),
  clusterRoleBinding('system:monitoring', 'system:monitoring', [groupOf('system:monitoring')]),
  clusterRoleBinding('system:service-account-issuer-discovery', 'system:service-account-issuer-discovery', [groupOf('system:serviceaccounts')]),
  clusterRoleBinding('system:node', 'system:node', [groupOf('system:nodes')]),
  clusterRoleBinding('system:node-proxier', 'system:node-proxier', [user('system:kube-proxy'), account('kube-proxy')]),
  clusterRoleBinding('system:kube-scheduler', 'system:kube-scheduler', [user('system:kube-scheduler')]),
  clusterRoleBinding('system:kube-controller-manager', 'system:kube-controller-manager', [user('system:kube-controller-manager')]),
  clusterRoleBinding('system:kube-dns', 'system:kube-dns', [account('kube-dns')]),
  clusterRoleBinding('system:coredns', 'system:coredns', [account('coredns')]),
  clusterRoleBinding('system:kubelet-api-admin', 'system:kubelet-api-admin', [user('kube-apiserver-kubelet-client')]),
]

const namespaced = { labels: { ...labels }, annotations: { ...annotations } }

/** Who may read how the API authenticates its front proxies: extension servers. */
const roles = (): (Role | RoleBinding)[] => [
  { apiVersion, kind: 'Role', metadata: { name: 'extension-apiserver-authentication-reader', namespace: 'kube-system', ...structuredClone(namespaced) },
    rules: [rule(read, '', 'configmaps', ['extension-apiserver-authentication'])] },
  { apiVersion, kind: 'RoleBinding', metadata: { name: 'system::extension-apiserver-authentication-reader', namespace: 'kube-system', ...structuredClone(namespaced) },
    roleRef: { apiGroup: group, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')] },
]

/** Roles before the bindings that name them. Namespace kube-system must exist for the last ones. */
export function bootstrapPolicy(): KubeObject[] {
  return structuredClone([...userRoles(), ...discoveryRoles(), ...componentRoles(), ...bindings(), ...roles()])
}
