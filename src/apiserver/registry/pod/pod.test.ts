// Pods through create and update: defaults, refusals, what may change, quality of service.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Container, Pod, PodSpec } from '#api/core/v1.ts'
import { Machinery, refusals, Refused } from '../testing.ts'
import { imageTag } from './defaults.ts'
import { pods } from './strategy.ts'

const pod = (spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'nginx' }], ...spec } })
const create = (spec: object): Pod => new Machinery().create(pods, pod(spec))
const withContainer = (container: object): object => ({ containers: [{ name: 'c', image: 'nginx', ...container }] })
const container = (more: object): Container => create(withContainer(more)).spec.containers[0]!

describe('defaults', () => {
  test('a pod of one container', () => {
    const { spec, status } = create({})
    assert.deepEqual(spec, {
      containers: [{ name: 'c', image: 'nginx', resources: {}, terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File', imagePullPolicy: 'Always' }],
      restartPolicy: 'Always', terminationGracePeriodSeconds: 30, dnsPolicy: 'ClusterFirst', schedulerName: 'default-scheduler', securityContext: {}, enableServiceLinks: true,
    })
    assert.deepEqual(status, { phase: 'Pending', qosClass: 'BestEffort' })
  })

  test('a status that a client brings is dropped', () => {
    assert.deepEqual(new Machinery().create(pods, { ...pod({}), status: { phase: 'Running', podIP: '10.0.0.1' } }).status, { phase: 'Pending', qosClass: 'BestEffort' })
  })

  test('pull policy by tag', () => {
    const tags: [image: string, tag: string][] = [['nginx', 'latest'], ['nginx:1.14.2', '1.14.2'], ['localhost:5000/nginx', 'latest'], ['localhost:5000/nginx:1', '1'],
      ['nginx@sha256:abc', ''], ['nginx:latest', 'latest'], ['a/b/c:latest@sha256:abc', 'latest']]
    for (const [image, tag] of tags) assert.equal(imageTag(image), tag, image)
    assert.equal(container({ image: 'nginx:1.17.2' }).imagePullPolicy, 'IfNotPresent')
    assert.equal(container({ image: 'nginx:1.17.2', imagePullPolicy: 'Never' }).imagePullPolicy, 'Never')
  })

  test('ports, probes, environment', () => {
    const made = container({ ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { port: 80 } }, livenessProbe: { grpc: { port: 9 } },
      env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, { name: 'B', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }],
      lifecycle: { preStop: { httpGet: { port: 80 } } } })
    assert.deepEqual(made.ports, [{ containerPort: 80, protocol: 'TCP' }])
    const numbers = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
    assert.deepEqual(made.readinessProbe, { httpGet: { port: 80, path: '/', scheme: 'HTTP' }, ...numbers })
    assert.deepEqual(made.livenessProbe, { grpc: { port: 9, service: '' }, ...numbers })
    assert.deepEqual(made.lifecycle, { preStop: { httpGet: { port: 80, path: '/', scheme: 'HTTP' } } })
    assert.deepEqual(made.env!.map(variable => variable.valueFrom), [{ fieldRef: { fieldPath: 'status.podIP', apiVersion: 'v1' } }, { resourceFieldRef: { resource: 'limits.cpu', divisor: '0' } }])
  })

  test('requests follow limits; quantities in canonical form', () => {
    const { resources, resizePolicy } = container({ resources: { limits: { cpu: '0.5', memory: '1024Mi' }, requests: { cpu: '0.25' } } })
    assert.deepEqual(resources, { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: '250m', memory: '1Gi' } })
    assert.deepEqual(resizePolicy, [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }, { resourceName: 'memory', restartPolicy: 'NotRequired' }])
  })

  test('volumes', () => {
    const { spec } = create({ volumes: [{ name: 'a' }, { name: 'b', secret: { secretName: 's' } }, { name: 'c', hostPath: { path: '/x' } },
      { name: 'd', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.namespace' } }] } }] } }] })
    assert.deepEqual(spec.volumes, [{ name: 'a', emptyDir: {} }, { name: 'b', secret: { secretName: 's', defaultMode: 420 } }, { name: 'c', hostPath: { path: '/x', type: '' } },
      { name: 'd', projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
        { downwardAPI: { items: [{ path: 'n', fieldRef: { fieldPath: 'metadata.namespace', apiVersion: 'v1' } }] } }] } }])
  })

  test('on the host\'s network ports are the host\'s (a07)', () => {
    const { spec } = create({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet', ...withContainer({ ports: [{ containerPort: 80 }] }) })
    assert.deepEqual(spec.containers[0]!.ports, [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }])
  })

  test('a deprecated serviceAccount is a serviceAccountName', () => {
    const { serviceAccountName, serviceAccount } = create({ serviceAccount: 'me' }).spec
    assert.deepEqual([serviceAccountName, serviceAccount], ['me', 'me'])
  })
})

test('quality of service', () => {
  const cpu = { cpu: '1' }, both = { cpu: '1', memory: '1Gi' }
  const cases: [string, object[]][] = [
    ['BestEffort', [{}]], ['Guaranteed', [{ limits: both }]], ['Guaranteed', [{ limits: both, requests: both }]], ['Burstable', [{ requests: cpu }]],
    ['Burstable', [{ limits: cpu }]], ['Burstable', [{ limits: both }, {}]], ['Burstable', [{ limits: both, requests: { cpu: '500m', memory: '1Gi' } }]],
    ['Guaranteed', [{ limits: both }, { limits: both }]], ['BestEffort', [{ limits: { 'example.com/gpu': '1' } }]],
  ]
  for (const [qos, resources] of cases)
    assert.equal(create({ containers: resources.map((one, i) => ({ name: `c${i}`, image: 'a', resources: one })) }).status!.qosClass, qos, JSON.stringify(resources))
})

const labelError = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

describe('refusals', () => {
  const cases: [name: string, spec: object, errors: string[]][] = [
    ['no containers', { containers: [] }, ['spec.containers: Required value']],
    ['no image', { containers: [{ name: 'c' }] }, ['spec.containers[0].image: Required value']],
    ['an image with a space', withContainer({ image: ' a' }), ['spec.containers[0].image: Invalid value: " a": must not have leading or trailing whitespace']],
    ['a name in capitals', withContainer({ name: 'C' }), [`spec.containers[0].name: Invalid value: "C": ${labelError}`]],
    ['one name twice', { containers: [{ name: 'c', image: 'a' }, { name: 'c', image: 'a' }] }, ['spec.containers[1].name: Duplicate value: "c"']],
    ['a pull policy', withContainer({ imagePullPolicy: 'Often' }), ['spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"']],
    ['a restart policy', { restartPolicy: 'always' }, ['spec.restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"']],
    ['a DNS policy', { dnsPolicy: 'none' }, ['spec.dnsPolicy: Unsupported value: "none": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"']],
    ['a08: None without dnsConfig', { dnsPolicy: 'None' }, ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    ['a08: None without nameservers', { dnsPolicy: 'None', dnsConfig: { searches: ['a.b'] } }, ['spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None']],
    ['a08: four nameservers', { dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } },
      ['spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers']],
    ['a08: 33 searches', { dnsConfig: { searches: Array.from({ length: 33 }, () => 'a') } },
      [`spec.dnsConfig.searches: Invalid value: ${JSON.stringify(Array.from({ length: 33 }, () => 'a'))}: must not have more than 32 search paths`]],
    ['a08 as printed', { dnsPolicy: 'None', dnsConfig: { nameservers: ['1.2.3.4'], searches: ['ns1.svc.cluster-domain.example', 'my.dns.search.suffix'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] } }, []],
    ['a port out of range', withContainer({ ports: [{ containerPort: 65536 }] }), ['spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive']],
    ['no container port', withContainer({ ports: [{ name: 'a' }] }), ['spec.containers[0].ports[0].containerPort: Required value']],
    ['a port name too long', withContainer({ ports: [{ name: 'a-very-long-port', containerPort: 1 }] }), ['spec.containers[0].ports[0].name: Invalid value: "a-very-long-port": must be no more than 15 bytes']],
    ['two containers on one host port', { containers: ['a', 'b'].map(name => ({ name, image: 'x', ports: [{ containerPort: 80, hostPort: 80 }] })) }, ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"']],
    ['another host port on the host\'s network', { hostNetwork: true, ...withContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }) },
      ['spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort` when `hostNetwork` is true']],
    ['a mount of no volume', withContainer({ volumeMounts: [{ name: 'v', mountPath: '/v' }] }), ['spec.containers[0].volumeMounts[0].name: Not found: "v"']],
    ['two mounts at one path', { volumes: [{ name: 'v' }], ...withContainer({ volumeMounts: [{ name: 'v', mountPath: '/v' }, { name: 'v', mountPath: '/v' }] }) }, ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique']],
    ['a subPath that leaves', { volumes: [{ name: 'v' }], ...withContainer({ volumeMounts: [{ name: 'v', mountPath: '/v', subPath: '../x' }] }) }, ["spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../x\": must not contain '..'"]],
    ['a volume name twice', { volumes: [{ name: 'v' }, { name: 'v' }] }, ['spec.volumes[1].name: Duplicate value: "v"']],
    ['a volume of two kinds', { volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/x' } }] }, ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type']],
    ['a host path that leaves', { volumes: [{ name: 'v', hostPath: { path: '/a/../b' } }] }, ["spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"]],
    ['a probe without a way', withContainer({ livenessProbe: {} }), ['spec.containers[0].livenessProbe: Required value: must specify a handler type']],
    ['a liveness probe that must succeed twice', withContainer({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }), ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1']],
    ['a request above its limit', withContainer({ resources: { limits: { cpu: '200m' }, requests: { cpu: '0.3' } } }), ['spec.containers[0].resources.requests: Invalid value: "300m": must be less than or equal to cpu limit of 200m']],
    ['a quantity that is none', withContainer({ resources: { limits: { cpu: 'x' } } }), ["spec.containers[0].resources.limits[cpu]: Invalid value: \"x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      "spec.containers[0].resources.requests[cpu]: Invalid value: \"x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"]],
    ['an init container with a readiness probe', { initContainers: [{ name: 'i', image: 'a', readinessProbe: { tcpSocket: { port: 1 } } }] },
      ['spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always']],
    ['an env var without a name', withContainer({ env: [{ value: 'x' }] }), ['spec.containers[0].env[0].name: Required value']],
    ['an env var from nowhere', withContainer({ env: [{ name: 'a', valueFrom: { fieldRef: { fieldPath: 'spec.x' } } }] }),
      ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.x": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"']],
    ['a toleration of everything without Exists', { tolerations: [{ operator: 'Equal' }] },
      ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"']],
    ['a hostname with dots', { hostname: 'a.b' }, [`spec.hostname: Invalid value: "a.b": ${labelError}`]],
    ['a spread of zero', { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'a', whenUnsatisfiable: 'DoNotSchedule' }] }, ['spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero']],
    ['a negative user', { securityContext: { runAsUser: -1 } }, ['spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive']],
    ['privileged without escalation', withContainer({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      ['spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true']],
  ]
  for (const [name, spec, errors] of cases) test(name, () => assert.deepEqual(refusals(pods as never, pod(spec)), errors))
})

describe('updates', () => {
  const change = (from: object, to: (spec: PodSpec) => void): readonly string[] => {
    const machinery = new Machinery(), old = machinery.create(pods, pod(from))
    try { machinery.update(pods, old, draft => to(draft.spec)) } catch (error) { if (error instanceof Refused) return error.errors; throw error }
    return []
  }
  const allowed: [string, object, (spec: PodSpec) => void][] = [
    ['an image', {}, spec => { spec.containers[0]!.image = 'nginx:2' }],
    ['a shorter deadline', { activeDeadlineSeconds: 10 }, spec => { spec.activeDeadlineSeconds = 5 }],
    ['one more toleration', { tolerations: [{ key: 'a', operator: 'Exists' }] }, spec => { spec.tolerations!.push({ key: 'b', operator: 'Exists' }) }],
    ['a lifted gate', { schedulingGates: [{ name: 'a/b' }, { name: 'a/c' }] }, spec => { spec.schedulingGates!.pop() }],
  ]
  for (const [name, from, to] of allowed) test(`may change: ${name}`, () => assert.deepEqual(change(from, to), []))

  const prefix = 'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n'
  const refused: [string, object, (spec: PodSpec) => void, string][] = [
    ['a container more', {}, spec => { spec.containers.push({ name: 'd', image: 'a' }) }, 'spec.containers: Forbidden: pod updates may not add or remove containers'],
    ['a longer deadline', { activeDeadlineSeconds: 10 }, spec => { spec.activeDeadlineSeconds = 20 }, 'spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value'],
    ['a toleration less', { tolerations: [{ key: 'a', operator: 'Exists' }] }, spec => { spec.tolerations = [] }, 'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds'],
    ['the node', {}, spec => { spec.nodeName = 'n' }, `${prefix}+ nodeName: "n"\n- nodeName: null\n`],
    ['the policy', {}, spec => { spec.restartPolicy = 'Never' }, `${prefix}+ restartPolicy: "Never"\n- restartPolicy: "Always"\n`],
  ]
  for (const [name, from, to, error] of refused) test(`may not change: ${name}`, () => assert.deepEqual(change(from, to), [error]))
})

test('a status keeps its class and completes addresses', () => {
  const old = create({}), draft = structuredClone(old)
  draft.status = { phase: 'Running', podIP: '10.244.1.2', hostIP: '192.168.109.100' }
  pods.defaults!(draft)
  assert.deepEqual(draft.status, { phase: 'Running', podIP: '10.244.1.2', podIPs: [{ ip: '10.244.1.2' }], hostIP: '192.168.109.100', hostIPs: [{ ip: '192.168.109.100' }], qosClass: 'BestEffort' })
  assert.deepEqual(pods.validateStatusUpdate!(draft, old, new Machinery().context), [])
  draft.status.qosClass = 'Guaranteed'
  assert.deepEqual(pods.validateStatusUpdate!(draft, old, new Machinery().context).map(error => error.message), ['Invalid value: "Guaranteed": field is immutable'])
})

test('warnings', () => {
  const warn = (spec: object) => pods.warnings!(create(spec), undefined)
  assert.deepEqual(warn({}), [])
  assert.deepEqual(warn({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }), ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'])
  assert.deepEqual(warn(withContainer({ env: [{ name: 'A', value: '1' }, { name: 'A', value: '2' }] })), ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'])
  assert.deepEqual(warn(withContainer({ ports: [{ containerPort: 80 }, { name: 'b', containerPort: 80 }] })), ['spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]'])
  assert.deepEqual(warn(withContainer({ resources: { requests: { memory: '100m' } } })), ['spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer'])
  const dotted = pods.warnings!({ ...create({}), metadata: { name: 'a.b' } }, undefined)
  assert.match(dotted[0]!, /^metadata\.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: \[a lowercase RFC 1123 label/)
})

test('grace: none for a pod that no node runs or that has ended', () => {
  const grace = (spec: object, phase: string) => pods.gracePeriodSeconds!({ ...create(spec), status: { phase } })
  assert.deepEqual([grace({}, 'Pending'), grace({ nodeName: 'n' }, 'Running'), grace({ nodeName: 'n', terminationGracePeriodSeconds: 5 }, 'Running'), grace({ nodeName: 'n' }, 'Succeeded')], [0, 30, 5, 0])
})
