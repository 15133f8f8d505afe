// The table of resources: which kinds exist, in which group-version, under which plural, and what
// can be done with each. Discovery, routing, RBAC and clients all read this one list.

export interface Resource {
  /** '' for the legacy core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  readonly categories: readonly string[]
  /** `status`, `scale`, `log`, ... */
  readonly subresources: readonly string[]
  /** Review kinds are only ever created; all others have every verb. */
  readonly createOnly: boolean
}

type Extra = Partial<Pick<Resource, 'shortNames' | 'categories' | 'subresources' | 'createOnly'>>

const resource = (groupVersion: string, kind: string, plural: string, namespaced: boolean, extra: Extra = {}): Resource => {
  const [group, version] = groupVersion.includes('/') ? groupVersion.split('/') as [string, string] : ['', groupVersion]
  return { group, version, kind, plural, singular: kind.toLowerCase(), namespaced,
    shortNames: [], categories: [], subresources: [], createOnly: false, ...extra }
}

const workload = (shortName: string): Extra => ({ shortNames: [shortName], categories: ['all'], subresources: ['status', 'scale'] })

export const resources = {
  namespaces: resource('v1', 'Namespace', 'namespaces', false, { shortNames: ['ns'], subresources: ['status', 'finalize'] }),
  nodes: resource('v1', 'Node', 'nodes', false, { shortNames: ['no'], subresources: ['status'] }),
  pods: resource('v1', 'Pod', 'pods', true, { shortNames: ['po'], categories: ['all'],
    subresources: ['status', 'log', 'exec', 'attach', 'binding', 'eviction'] }),
  services: resource('v1', 'Service', 'services', true, { shortNames: ['svc'], categories: ['all'], subresources: ['status'] }),
  endpoints: resource('v1', 'Endpoints', 'endpoints', true, { shortNames: ['ep'] }),
  configmaps: resource('v1', 'ConfigMap', 'configmaps', true, { shortNames: ['cm'] }),
  secrets: resource('v1', 'Secret', 'secrets', true),
  serviceaccounts: resource('v1', 'ServiceAccount', 'serviceaccounts', true, { shortNames: ['sa'], subresources: ['token'] }),
  events: resource('v1', 'Event', 'events', true, { shortNames: ['ev'] }),
  deployments: resource('apps/v1', 'Deployment', 'deployments', true, workload('deploy')),
  replicasets: resource('apps/v1', 'ReplicaSet', 'replicasets', true, workload('rs')),
  statefulsets: resource('apps/v1', 'StatefulSet', 'statefulsets', true, workload('sts')),
  daemonsets: resource('apps/v1', 'DaemonSet', 'daemonsets', true, { shortNames: ['ds'], categories: ['all'], subresources: ['status'] }),
  controllerrevisions: resource('apps/v1', 'ControllerRevision', 'controllerrevisions', true),
  endpointslices: resource('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices', true),
  leases: resource('coordination.k8s.io/v1', 'Lease', 'leases', true),
  eventsV1: resource('events.k8s.io/v1', 'Event', 'events', true, { shortNames: ['ev'] }),
  roles: resource('rbac.authorization.k8s.io/v1', 'Role', 'roles', true),
  rolebindings: resource('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings', true),
  clusterroles: resource('rbac.authorization.k8s.io/v1', 'ClusterRole', 'clusterroles', false),
  clusterrolebindings: resource('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'clusterrolebindings', false),
  tokenreviews: resource('authentication.k8s.io/v1', 'TokenReview', 'tokenreviews', false, { createOnly: true }),
  selfsubjectreviews: resource('authentication.k8s.io/v1', 'SelfSubjectReview', 'selfsubjectreviews', false, { createOnly: true }),
  subjectaccessreviews: resource('authorization.k8s.io/v1', 'SubjectAccessReview', 'subjectaccessreviews', false, { createOnly: true }),
  selfsubjectaccessreviews: resource('authorization.k8s.io/v1', 'SelfSubjectAccessReview', 'selfsubjectaccessreviews', false, { createOnly: true }),
  selfsubjectrulesreviews: resource('authorization.k8s.io/v1', 'SelfSubjectRulesReview', 'selfsubjectrulesreviews', false, { createOnly: true }),
} as const satisfies Record<string, Resource>

/** `v1`, `apps/v1`. */
export const groupVersion = (resource: Pick<Resource, 'group' | 'version'>): string =>
  resource.group ? `${resource.group}/${resource.version}` : resource.version

/**
 * The name of the resource's package in kubernetes-types.json and of its folder here:
 * `core/v1`, `apps/v1`, `discovery/v1`, `rbac/v1` (the group's first label, `core` for the legacy group).
 */
export const packageName = (resource: Pick<Resource, 'group' | 'version'>): string =>
  `${resource.group === '' ? 'core' : resource.group.split('.')[0]}/${resource.version}`

/** Kinds as clients name them in bodies: `apps/v1` + `Deployment`. */
export const resourceOfKind = (apiVersion: string, kind: string): Resource | undefined =>
  Object.values<Resource>(resources).find(r => r.kind === kind && groupVersion(r) === apiVersion)

/** The URL path of a collection or of one object, with an optional subresource. */
export function resourcePath(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${scope}/${resource.plural}${name ? `/${encodeURIComponent(name)}` : ''}${subresource ? `/${subresource}` : ''}`
}
