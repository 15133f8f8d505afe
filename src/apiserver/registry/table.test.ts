// What `kubectl get` prints of each kind: the headings, narrow and wide, and one row.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KubeObject } from '#api/object.ts'
import { strategies } from './strategies.ts'
import { table } from './table.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const metadata = { name: 'n', namespace: 'd', creationTimestamp: '2026-11-21T11:55:00Z' }
const options = { now, includeObject: 'Metadata', resourceVersion: '7', withColumns: true } as const
const made = (key: string, object: object) => table(strategies.get(key)!, [{ metadata, ...object } as KubeObject], options)

/** Headings with `*` for those of `-o wide`. */
const headings = (key: string) => table(strategies.get(key)!, [], options).columnDefinitions!.map(({ name, priority }) => name + (priority ? '*' : '')).join('|')

test('the headings of upstream\'s printers', () => {
  const workload = 'Containers*|Images*|Selector*'
  const expected: Record<string, string> = {
    namespaces: 'Name|Status|Age', nodes: 'Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*',
    pods: 'Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*', services: 'Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*',
    endpoints: 'Name|Endpoints|Age', configmaps: 'Name|Data|Age', secrets: 'Name|Type|Data|Age', serviceaccounts: 'Name|Secrets|Age',
    events: 'Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*', deployments: `Name|Ready|Up-to-date|Available|Age|${workload}`,
    replicasets: `Name|Desired|Current|Ready|Age|${workload}`, statefulsets: 'Name|Ready|Age|Containers*|Images*', daemonsets: `Name|Desired|Current|Ready|Up-to-date|Available|Node Selector|Age|${workload}`,
    controllerrevisions: 'Name|Controller|Revision|Age', endpointslices: 'Name|AddressType|Ports|Endpoints|Age', leases: 'Name|Holder|Age',
    eventsV1: 'Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*', roles: 'Name|Created At', clusterroles: 'Name|Created At',
    rolebindings: 'Name|Role|Age|Users*|Groups*|ServiceAccounts*', clusterrolebindings: 'Name|Role|Age|Users*|Groups*|ServiceAccounts*',
  }
  assert.deepEqual(Object.fromEntries([...strategies.keys()].map(key => [key, headings(key)])), expected)
})

describe('rows', () => {
  const ingress = (...list: object[]) => ({ loadBalancer: { ingress: list } })
  const service = (spec: object, status: object = {}) => ({ spec: { clusterIPs: ['10.96.0.9'], ports: [{ port: 80, protocol: 'TCP' }], ...spec }, status })
  const template = { template: { spec: { containers: [{ name: 'a', image: 'x:1' }, { name: 'b', image: 'y' }], nodeSelector: { disk: 'ssd' } } }, selector: { matchLabels: { app: 'a' } } }
  const cases: [name: string, key: string, object: object, cells: unknown[]][] = [
    ['a Service', 'services', service({ type: 'ClusterIP', selector: { app: 'a', b: 'c' } }), ['n', 'ClusterIP', '10.96.0.9', '<none>', '80/TCP', '5m', 'app=a,b=c']],
    ['a NodePort', 'services', service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30007, protocol: 'TCP' }, { port: 443, nodePort: 30008, protocol: 'TCP' }] }), ['n', 'NodePort', '10.96.0.9', '<none>', '80:30007/TCP,443:30008/TCP', '5m', '<none>']],
    ['a pending load balancer', 'services', service({ type: 'LoadBalancer' }), ['n', 'LoadBalancer', '10.96.0.9', '<pending>', '80/TCP', '5m', '<none>']],
    ['a load balancer', 'services', service({ type: 'LoadBalancer', externalIPs: ['192.0.2.9'] }, ingress({ ip: '192.0.2.2' }, { ip: '192.0.2.1' })), ['n', 'LoadBalancer', '10.96.0.9', '192.0.2.1,192.0.2.2,192.0.2.9', '80/TCP', '5m', '<none>']],
    ['an ExternalName', 'services', { spec: { type: 'ExternalName', externalName: 'www.example.com' } }, ['n', 'ExternalName', '<none>', 'www.example.com', '<none>', '5m', '<none>']],
    ['a headless Service', 'services', service({ type: 'ClusterIP', clusterIPs: ['None'] }), ['n', 'ClusterIP', 'None', '<none>', '80/TCP', '5m', '<none>']],
    ['Endpoints of three', 'endpoints', { subsets: [{ addresses: ['1', '2', '3'].map(last => ({ ip: `10.244.0.${last}` })), ports: [{ port: 80 }] }] }, ['n', '10.244.0.1:80,10.244.0.2:80,10.244.0.3:80', '5m']],
    ['Endpoints of four', 'endpoints', { subsets: [{ addresses: ['1', '2'].map(last => ({ ip: `10.244.0.${last}` })), ports: [{ port: 80 }, { port: 81 }] }] }, ['n', '10.244.0.1:80,10.244.0.2:80,10.244.0.1:81 + 1 more...', '5m']],
    ['Endpoints of none', 'endpoints', { subsets: [{ notReadyAddresses: [{ ip: '10.244.0.1' }], ports: [{ port: 80 }] }] }, ['n', '<none>', '5m']],
    ['Endpoints without ports', 'endpoints', { subsets: [{ addresses: [{ ip: '10.244.0.1' }] }] }, ['n', '10.244.0.1', '5m']],
    ['an EndpointSlice', 'endpointslices', { addressType: 'IPv4', ports: [{ port: 80 }, {}], endpoints: ['1', '2', '3', '4'].map(last => ({ addresses: [`10.0.0.${last}`] })) }, ['n', 'IPv4', '80,*', '10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...', '5m']],
    ['an empty EndpointSlice', 'endpointslices', { addressType: 'IPv4', ports: [], endpoints: [] }, ['n', 'IPv4', '<unset>', '<unset>', '5m']],
    ['a Deployment', 'deployments', { spec: { replicas: 3, ...template }, status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 } }, ['n', '2/3', '3', '1', '5m', 'a,b', 'x:1,y', 'app=a']],
    ['a ReplicaSet', 'replicasets', { spec: { replicas: 3, ...template }, status: { replicas: 3, readyReplicas: 2 } }, ['n', 3, 3, 2, '5m', 'a,b', 'x:1,y', 'app=a']],
    ['a StatefulSet', 'statefulsets', { spec: { replicas: 3, ...template }, status: { replicas: 3, readyReplicas: 2 } }, ['n', '2/3', '5m', 'a,b', 'x:1,y']],
    ['a DaemonSet', 'daemonsets', { spec: template, status: { desiredNumberScheduled: 3, currentNumberScheduled: 2, numberReady: 1 } }, ['n', 3, 2, 1, 0, 0, 'disk=ssd', '5m', 'a,b', 'x:1,y', 'app=a']],
    ['a Node', 'nodes', { metadata: { ...metadata, labels: { 'node-role.kubernetes.io/control-plane': '', 'kubernetes.io/role': 'a' } }, spec: { unschedulable: true },
      status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address: '192.168.109.100' }], nodeInfo: { kubeletVersion: 'v1.36.0', osImage: 'Debian', kernelVersion: '6.1', containerRuntimeVersion: 'f://1' } } },
      ['n', 'Ready,SchedulingDisabled', 'a,control-plane', '5m', 'v1.36.0', '192.168.109.100', '<none>', 'Debian', '6.1', 'f://1']],
    ['a Node that has said nothing', 'nodes', { spec: {} }, ['n', 'Unknown', '<none>', '5m', '', '<none>', '<none>', '<unknown>', '<unknown>', '<unknown>']],
    ['an Event', 'events', { involvedObject: { kind: 'Pod', name: 'p', fieldPath: 'spec.containers{c}' }, type: 'Normal', reason: 'Pulled', message: 'done\n', source: { component: 'kubelet', host: 'n1' },
      firstTimestamp: '2026-11-21T11:00:00Z', lastTimestamp: '2026-11-21T11:59:30Z', count: 4 }, ['30s', 'Normal', 'Pulled', 'pod/p', 'spec.containers{c}', 'kubelet, n1', 'done', '60m', 4, 'n']],
    ['a series', 'eventsV1', { regarding: { kind: 'Pod', name: 'p' }, note: 'x', eventTime: '2026-11-21T11:58:00.000000Z', series: { count: 9, lastObservedTime: '2026-11-21T11:59:59.000000Z' }, reportingController: 'a', reportingInstance: 'b' },
      ['1s', '', '', 'pod/p', '', 'a, b', 'x', '2m', 9, 'n']],
    ['a Lease', 'leases', { spec: { holderIdentity: 'me' } }, ['n', 'me', '5m']],
    ['a Secret', 'secrets', { type: 'Opaque', data: { a: '' } }, ['n', 'Opaque', 1, '5m']],
    ['a ConfigMap', 'configmaps', { data: { a: '' }, binaryData: { b: '' } }, ['n', 2, '5m']],
    ['a ServiceAccount', 'serviceaccounts', {}, ['n', 0, '5m']],
    ['a Namespace', 'namespaces', { status: { phase: 'Active' } }, ['n', 'Active', '5m']],
    ['a ClusterRole', 'clusterroles', {}, ['n', '2026-11-21T11:55:00Z']],
    ['a binding', 'rolebindings', { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }, { kind: 'ServiceAccount', namespace: 'x', name: 's' }] }, ['n', 'Role/r', '5m', 'u', '', 'x/s']],
    ['a ControllerRevision', 'controllerrevisions', { revision: 2, metadata: { ...metadata, ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'x', uid: '1', controller: true }] } }, ['n', 'daemonset.apps/x', '2', '5m']],
  ]
  for (const [name, key, object, cells] of cases) test(name, () => assert.deepEqual(made(key, object).rows[0]!.cells, cells))
})

test('the table around them', () => {
  const strategy = strategies.get('configmaps')!, object = { apiVersion: 'v1', kind: 'ConfigMap', metadata } as KubeObject
  const whole = table(strategy, [object], { ...options, continue: 'more', remainingItemCount: 3 })
  assert.deepEqual({ ...whole, columnDefinitions: whole.columnDefinitions!.length }, {
    kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata: { resourceVersion: '7', continue: 'more', remainingItemCount: 3 }, columnDefinitions: 3,
    rows: [{ cells: ['n', 0, '5m'], object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } }],
  })
  assert.deepEqual(whole.columnDefinitions![0], { name: 'Name', type: 'string', format: 'name', description: 'Unique within its namespace; set at creation.', priority: 0 })
  assert.equal(table(strategy, [object], { ...options, includeObject: 'Object', withColumns: false }).rows[0]!.object, object)
  assert.equal(table(strategy, [object], { ...options, includeObject: 'None' }).rows[0]!.object, null)
  assert.equal(table(strategy, [object], { ...options, withColumns: false }).columnDefinitions, null)
})
