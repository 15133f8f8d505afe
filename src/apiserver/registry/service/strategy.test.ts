// Services through create and update: defaults, what is allocated, every refusal of the walk-throughs.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Service } from '#api/core/v1.ts'
import { parseCidr } from '#net/ip.ts'
import { Machinery, refusals, Refused } from '../testing.ts'
import { services } from './strategy.ts'

type Spec = Partial<Service['spec']>
const manifest = (spec: Spec, name = 'my-service') => ({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec })
const port80 = [{ port: 80 }]
const create = (spec: Spec, machinery = new Machinery(), name?: string) => machinery.create(services, manifest(spec, name))
const refused = (spec: Spec, machinery?: Machinery) => refusals(services as never, manifest(spec), machinery)

describe('defaults', () => {
  const cases: Record<string, { spec: Spec; want: Spec }> = {
    'a plain Service (a01)': {
      spec: { selector: { app: 'proxy' }, ports: [{ port: 80, targetPort: 'http-web-svc', name: 'p' }] },
      want: { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster', ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack',
        selector: { app: 'proxy' }, ports: [{ port: 80, targetPort: 'http-web-svc', name: 'p', protocol: 'TCP' }] },
    },
    'affinity (b02)': {
      spec: { sessionAffinity: 'ClientIP', ports: port80 },
      want: { type: 'ClusterIP', sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } }, internalTrafficPolicy: 'Cluster',
        ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack', ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }] },
    },
    'headless (b03)': {
      spec: { clusterIP: 'None', selector: { app: 'a' }, ports: port80 },
      want: { type: 'ClusterIP', clusterIP: 'None', clusterIPs: ['None'], sessionAffinity: 'None', internalTrafficPolicy: 'Cluster',
        ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack', selector: { app: 'a' }, ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }] },
    },
    'headless without selector': {
      spec: { clusterIP: 'None' },
      want: { type: 'ClusterIP', clusterIP: 'None', clusterIPs: ['None'], sessionAffinity: 'None', internalTrafficPolicy: 'Cluster',
        ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' },
    },
    'ExternalName (b06)': {
      spec: { type: 'ExternalName', externalName: 'www.example.com' },
      want: { type: 'ExternalName', externalName: 'www.example.com', sessionAffinity: 'None' },
    },
    'NodePort with the port asked for (a04)': {
      spec: { type: 'NodePort', ports: [{ port: 80, targetPort: 80, nodePort: 30007 }] },
      want: { type: 'NodePort', externalTrafficPolicy: 'Cluster', internalTrafficPolicy: 'Cluster', sessionAffinity: 'None', ipFamilies: ['IPv4'],
        ipFamilyPolicy: 'SingleStack', ports: [{ port: 80, targetPort: 80, nodePort: 30007, protocol: 'TCP' }] },
    },
  }
  for (const [name, { spec, want }] of Object.entries(cases)) test(name, () => {
    const { clusterIP, clusterIPs, ...rest } = create(spec).spec
    const { clusterIP: wantIP, clusterIPs: _, ...wantRest } = want
    assert.deepEqual(rest, wantRest)
    if (wantIP) assert.deepEqual([clusterIP, clusterIPs], [wantIP, [wantIP]])
    else if (rest.type === 'ExternalName') assert.equal(clusterIP, undefined)
    else assert.ok(clusterIP && clusterIPs![0] === clusterIP)
  })

  test('a load balancer gets node ports, and a client cannot bring its status (a05)', () => {
    const machinery = new Machinery({ serviceCidr: parseCidr('10.0.0.0/16')! })
    const service = machinery.create(services, { ...manifest({ type: 'LoadBalancer', clusterIP: '10.0.171.239', ports: [{ port: 80, targetPort: 9376 }] }),
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.127' }] } } })
    assert.equal(service.spec.clusterIP, '10.0.171.239')
    assert.equal(service.spec.allocateLoadBalancerNodePorts, true)
    assert.ok(service.spec.ports![0]!.nodePort! >= 30000)
    assert.deepEqual(service.status, { loadBalancer: {} })
    assert.deepEqual([...machinery.reservations.keys()].sort(), ['clusterips/10.0.171.239', `nodeports/${service.spec.ports![0]!.nodePort}`])
  })
})

describe('refusals on create', () => {
  const wideRange = { serviceNodePortRange: { from: 1, to: 32767 } }
  const c03: Spec = { type: 'NodePort', ports: [
    { nodePort: 8080, targetPort: 80, protocol: 'TCP', name: 'http' }, { nodePort: 443, protocol: 'TCP', name: 'https' }] as Service['spec']['ports'] }
  const withPort = (nodePort: number): Spec => ({ type: 'NodePort', ports: [{ ...c03.ports![0]!, nodePort }, c03.ports![1]!] })
  const topology = (topologyKeys: string[], more: Spec = {}): Spec => ({ ports: port80, topologyKeys, ...more })
  const outside = 'provided port is not in the valid range. The range of valid ports is'
  const zero = 'Invalid value: 0: must be between 1 and 65535, inclusive'
  const ip = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"

  const cases: [name: string, spec: Spec, errors: string[], overrides?: object][] = [
    ['c03: the first port out of range is reported alone', c03, [`spec.ports[0].nodePort: Invalid value: 8080: ${outside} 30000-32767`]],
    ['c03 with 8080 corrected', withPort(30080), [`spec.ports[1].nodePort: Invalid value: 443: ${outside} 30000-32767`]],
    ['c03 with the wide range: the ports that it lacks', c03, [
      `spec.ports[0].port: ${zero}`, `spec.ports[1].port: ${zero}`, `spec.ports[1].targetPort: ${zero}`,
      'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":0,"TargetPort":0,"NodePort":0}',
    ], wideRange],
    ['c03 with ports added', { type: 'NodePort', ports: [{ ...c03.ports![0]!, port: 80 }, { ...c03.ports![1]!, port: 443 }] }, [], wideRange],
    ['a03: one of several ports without a name', { ports: [{ name: 'http', port: 80 }, { port: 443 }] }, ['spec.ports[1].name: Required value']],
    ['no ports', {}, ['spec.ports: Required value']],
    ['a port name twice', { ports: [{ name: 'a', port: 80 }, { name: 'a', port: 81 }] }, ['spec.ports[1].name: Duplicate value: "a"']],
    ['an unknown type', { type: 'Foo', ports: port80 }, ['spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"']],
    ['an unknown protocol', { ports: [{ port: 80, protocol: 'ICMP' }] }, ['spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"']],
    ['an unknown affinity', { ports: port80, sessionAffinity: 'Cookie' }, ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"']],
    ['too long an affinity', { ports: port80, sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      ['spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400']],
    ['a cluster IP outside the range', { ports: port80, clusterIP: '1.2.3.4' },
      ['spec.clusterIPs: Invalid value: ["1.2.3.4"]: failed to allocate IP 1.2.3.4: the provided IP (1.2.3.4) is not in the valid range. The range of valid IPs is 10.96.0.0/12']],
    ['the network\'s own address', { ports: port80, clusterIP: '10.96.0.0' },
      ['spec.clusterIPs: Invalid value: ["10.96.0.0"]: failed to allocate IP 10.96.0.0: the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/12']],
    ['a cluster IP that is none', { ports: port80, clusterIP: 'here' }, [`spec.clusterIPs[0]: Invalid value: "here": ${ip}`]],
    ['clusterIPs alone', { ports: port80, clusterIPs: ['10.96.0.9'] }, ['spec.clusterIPs: Invalid value: ["10.96.0.9"]: must be empty when `clusterIP` is not specified']],
    ['None for a NodePort', { type: 'NodePort', clusterIP: 'None', ports: port80 }, ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]],
    ['a node port on a ClusterIP Service', { ports: [{ port: 80, nodePort: 30000 }] }, ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]],
    ['a second family', { ports: port80, ipFamilyPolicy: 'RequireDualStack' }, ['spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services']],
    ['the other family', { ports: port80, ipFamilies: ['IPv6'] }, ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']],
    ['an ExternalName without a name', { type: 'ExternalName' }, ['spec.externalName: Required value']],
    ['an ExternalName with an address of its own', { type: 'ExternalName', externalName: 'a.b', clusterIP: '10.96.0.9' }, ['spec.clusterIPs: Forbidden: may not be set for ExternalName services']],
    ['an external IP that is none', { ports: port80, externalIPs: ['x'] }, [`spec.externalIPs[0]: Invalid value: "x": ${ip}`]],
    ['a loopback external IP', { ports: port80, externalIPs: ['127.0.0.1'] }, ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)']],
    ['external policy without an outside', { ports: port80, externalTrafficPolicy: 'Local' }, ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services']],
    ['an unknown internal policy', { ports: port80, internalTrafficPolicy: 'Near' }, ['spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"']],
    ['an unknown distribution', { ports: port80, trafficDistribution: 'Near' }, ['spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"']],
    ['a class without a load balancer', { ports: port80, loadBalancerClass: 'a/b' }, ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"]],
    ['the kubelet\'s port on a load balancer', { type: 'LoadBalancer', ports: [{ port: 10250 }] }, ['spec.ports[0].port: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet']],
    ['a06: "*" before the end', topology(['*', 'kubernetes.io/hostname']), ['spec.topologyKeys[0]: Invalid value: "*": "*" must be the last value specified']],
    ['a06: a key twice', topology(['a', 'a']), ['spec.topologyKeys[1]: Duplicate value: "a"']],
    ['a06: 17 keys', topology(Array.from({ length: 17 }, (_, i) => `k${i}`)), ['spec.topologyKeys: Too many: 17: must have at most 16 items']],
    ['a06: a key that is none', topology(['/x']), ['spec.topologyKeys[0]: Invalid value: ["/x"]: prefix part must be non-empty']],
    ['a06: with externalTrafficPolicy Local', topology(['a'], { type: 'NodePort', externalTrafficPolicy: 'Local' }), ['spec.topologyKeys: Forbidden: may not be specified when `externalTrafficPolicy=Local`']],
    ['a06-4 as printed', topology(['kubernetes.io/hostname', 'topology.kubernetes.io/zone', 'topology.kubernetes.io/region', '*']), []],
    ['modern topology', { ports: port80, trafficDistribution: 'PreferSameZone', internalTrafficPolicy: 'Local' }, []],
  ]
  for (const [name, spec, errors, overrides] of cases) test(name, () => {
    assert.deepEqual(refused(spec, new Machinery(overrides)), errors)
  })

  test('a name that is no DNS-1035 label', () => {
    assert.deepEqual(refusals(services as never, manifest({ ports: port80 }, '1st')), [
      "metadata.name: Invalid value: \"1st\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"])
  })
})

describe('what is taken', () => {
  test('a node port (a04, d05) and a cluster IP (a05)', () => {
    const machinery = new Machinery()
    create({ type: 'NodePort', clusterIP: '10.96.1.1', ports: [{ port: 80, nodePort: 30007 }] }, machinery, 'first')
    assert.deepEqual(refused({ type: 'NodePort', ports: [{ port: 80, nodePort: 30007 }] }, machinery),
      ['spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated'])
    assert.deepEqual(refused({ clusterIP: '10.96.1.1', ports: port80 }, machinery),
      ['spec.clusterIPs: Invalid value: ["10.96.1.1"]: failed to allocate IP 10.96.1.1: provided IP is already allocated'])
  })

  test('TCP and UDP of one Service share a node port, asked for or chosen', () => {
    const ports = (nodePort?: number): Service['spec']['ports'] =>
      [{ name: 'a', port: 53, protocol: 'UDP', ...(nodePort && { nodePort }) }, { name: 'b', port: 53, protocol: 'TCP', ...(nodePort && { nodePort }) }]
    assert.deepEqual(create({ type: 'NodePort', ports: ports(30053)! }).spec.ports!.map(port => port.nodePort), [30053, 30053])
    const chosen = create({ type: 'NodePort', ports: [ports()![0]!, { ...ports()![1]!, nodePort: 30100 }] }).spec.ports!.map(port => port.nodePort)
    assert.deepEqual(chosen, [30100, 30100])
  })

  test('one protocol twice is a duplicate', () => {
    assert.deepEqual(refused({ type: 'NodePort', ports: [{ name: 'a', port: 80, nodePort: 30100 }, { name: 'b', port: 81, nodePort: 30100 }] }),
      ['spec.ports[1].nodePort: Duplicate value: 30100'])
  })
})

describe('updates', () => {
  const change = (from: Spec, to: (draft: Service) => void) => {
    const machinery = new Machinery()
    const before = create(from, machinery)
    return { before, after: machinery.update(services, before, to), keys: [...machinery.reservations.keys()].sort() }
  }
  const rejected = (from: Spec, to: (draft: Service) => void): readonly string[] => {
    try { change(from, to) } catch (error) { if (error instanceof Refused) return error.errors; throw error }
    return []
  }

  test('what is left out keeps its value', () => {
    const { before, after } = change({ type: 'NodePort', ports: [{ name: 'a', port: 80 }] }, draft => {
      draft.spec = { type: 'NodePort', ports: [{ name: 'a', port: 8080 }] }
    })
    assert.equal(after.spec.clusterIP, before.spec.clusterIP)
    assert.equal(after.spec.ports![0]!.nodePort, before.spec.ports![0]!.nodePort)
  })

  test('NodePort to ClusterIP releases the port', () => {
    const { after, keys } = change({ type: 'NodePort', ports: port80 }, draft => { draft.spec.type = 'ClusterIP' })
    assert.equal(after.spec.ports![0]!.nodePort, undefined)
    assert.equal(after.spec.externalTrafficPolicy, undefined)
    assert.deepEqual(keys, [`clusterips/${after.spec.clusterIP}`])
  })

  test('ClusterIP to ExternalName and back', () => {
    const { after, keys } = change({ ports: port80 }, draft => { draft.spec.type = 'ExternalName'; draft.spec.externalName = 'a.example' })
    assert.deepEqual(keys, [])
    assert.deepEqual([after.spec.clusterIP, after.spec.clusterIPs, after.spec.ipFamilies], [undefined, undefined, undefined])
    const back = new Machinery().update(services, after, draft => { draft.spec.type = 'ClusterIP' })
    assert.ok(back.spec.clusterIP)
  })

  test('an externalName may be changed, also to an address (b06)', () => {
    const { after } = change({ type: 'ExternalName', externalName: 'www.example.com' }, draft => { draft.spec.externalName = '192.0.2.1' })
    assert.equal(after.spec.externalName, '192.0.2.1')
  })

  test('a load balancer with local policy holds a health check port, and gives it back', () => {
    const { before, after, keys } = change({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: port80 }, draft => { draft.spec.externalTrafficPolicy = 'Cluster' })
    assert.ok(before.spec.healthCheckNodePort)
    assert.notEqual(before.spec.healthCheckNodePort, before.spec.ports![0]!.nodePort)
    assert.equal(after.spec.healthCheckNodePort, undefined)
    assert.deepEqual(keys, [`clusterips/${after.spec.clusterIP}`, `nodeports/${after.spec.ports![0]!.nodePort}`])
  })

  const cases: [name: string, from: Spec, to: (draft: Service) => void, errors: string[]][] = [
    ['another cluster IP', { clusterIP: '10.96.0.9', ports: port80 }, ({ spec }) => { spec.clusterIP = '10.96.0.8' }, ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set']],
    ['to headless', { clusterIP: '10.96.0.9', ports: port80 }, ({ spec }) => { spec.clusterIP = 'None' }, ['spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set']],
    ['another class', { type: 'LoadBalancer', loadBalancerClass: 'a/b', ports: port80 }, ({ spec }) => { spec.loadBalancerClass = 'a/c' }, ['spec.loadBalancerClass: Invalid value: "a/c": may not change once set']],
    ['another health check port', { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30900, ports: port80 }, ({ spec }) => { spec.healthCheckNodePort = 30901 },
      ['spec.healthCheckNodePort: Invalid value: 30901: field is immutable']],
    ['a node port out of range', { type: 'NodePort', ports: port80 }, ({ spec }) => { spec.ports![0]!.nodePort = 80 },
      ['spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767']],
    ['a changed node port that the new type has no use for', { type: 'NodePort', ports: port80 }, ({ spec }) => { spec.type = 'ClusterIP'; spec.ports![0]!.nodePort = 30999 },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]],
  ]
  for (const [name, from, to, errors] of cases) test(name, () => assert.deepEqual(rejected(from, to), errors))
})

test('warnings in upstream\'s words', () => {
  const warn = (spec: Spec) => services.warnings!(create(spec), undefined)
  assert.deepEqual(warn({ ports: port80, externalIPs: ['192.0.2.1'] }), ['spec.externalIPs is deprecated and may no longer be implemented in some clusters'])
  assert.deepEqual(warn({ ports: port80, clusterIP: 'None', sessionAffinity: 'ClientIP' }), ['spec.SessionAffinity is ignored for headless services'])
  assert.deepEqual(warn({ ports: port80, trafficDistribution: 'PreferClose' }), ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'])
  assert.deepEqual(warn({ ports: port80 }), [])
})

test('a status: load balancer addresses belong to load balancers', () => {
  const { validateStatusUpdate, defaults } = services
  const { context } = new Machinery()
  const check = (spec: Spec, ingress: object[]) => {
    const old = create(spec), draft = structuredClone(old)
    draft.status = { loadBalancer: { ingress } }
    defaults!(draft)
    return { draft, errors: validateStatusUpdate!(draft, old, context).map(error => `${error.field}: ${error.message}`) }
  }
  const good = check({ type: 'LoadBalancer', ports: port80 }, [{ ip: '192.0.2.127' }])
  assert.deepEqual(good.errors, [])
  assert.equal(good.draft.status!.loadBalancer!.ingress![0]!.ipMode, 'VIP')
  assert.deepEqual(check({ ports: port80 }, [{ ip: '192.0.2.127' }]).errors, ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"])
})
