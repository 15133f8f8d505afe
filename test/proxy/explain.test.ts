// `fairway explain` says which endpoints a node uses; the proxy decides it. Both are asked about the
// same random Services: the choice must be the same, and whatever is left out must have a reason.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choose } from '#cli/explain/choice.ts'
import type { Endpoint } from '#cli/explain/facts.ts'
import type { Endpoint as ProxyEndpoint } from '#proxy/endpoints.ts'
import type { ServicePort } from '#proxy/services.ts'
import { chooseEndpoints } from '#proxy/topology.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1e9)
let state = seed
/** mulberry32. */
const random = (below: number): number => {
  state = (state + 0x6D2B79F5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const chance = (oneIn: number) => random(oneIn) === 0

const zone = 'topology.kubernetes.io/zone', hostname = 'kubernetes.io/hostname'
const nodes = ['a', 'b', 'c', 'd'].map((name, i) => ({ name, labels: i === 3 ? { [hostname]: name } : { [hostname]: name, [zone]: `z${i % 2}` } as Record<string, string> }))
const labelsOf = (name: string) => nodes.find(node => node.name === name)?.labels

function endpoint(i: number, hinted: 'no' | 'zone' | 'node'): Endpoint {
  const serving = !chance(4), terminating = chance(3), node = nodes[random(nodes.length)]!
  const hasHint = hinted !== 'no' && !chance(12)
  return { ip: `10.0.0.${i + 1}`, node: chance(10) ? '' : node.name, ready: serving && !terminating, serving, terminating, ports: [{ name: '', protocol: 'TCP', port: 80 }],
    zoneHints: hasHint && node.labels[zone] ? [node.labels[zone]] : [], nodeHints: hasHint && hinted === 'node' ? [node.name] : [] }
}
const forProxy = (each: Endpoint, node: string): ProxyEndpoint =>
  ({ ...each, port: 80, address: `${each.ip}:80`, nodeName: each.node, isLocal: each.node === node })

test(`explain and the proxy choose alike (SEED=${seed})`, () => {
  let used = 0
  for (let round = 0; round < 3000; round++) {
    const hinted = (['no', 'zone', 'node'] as const)[random(3)]!
    const all = Array.from({ length: random(7) }, (_, i) => endpoint(i, hinted))
    const topologyKeys = chance(3) ? [hostname, zone, '*'].slice(random(3), 1 + random(3)) : []
    const port = { topologyKeys, internalPolicyLocal: true, externalPolicyLocal: false, nodePort: 30000, externalIPs: [], loadBalancerIPs: [] } as unknown as ServicePort
    for (const node of nodes) {
      const chosen = chooseEndpoints(all.map(each => forProxy(each, node.name)), port, { nodeName: node.name, labels: node.labels, labelsOf })
      for (const policyLocal of [false, true]) {
        const verdicts = choose(all, node, { policyLocal, policy: 'internalTrafficPolicy', topologyKeys, labelsOf })
        const own = [...verdicts].filter(([, why]) => why === undefined).map(([each]) => each.ip).sort()
        assert.deepEqual(own, (policyLocal ? chosen.local : chosen.cluster).map(each => each.ip).sort(), `round ${round}, node ${node.name}, local ${policyLocal}`)
        assert.equal(verdicts.size, all.length, 'each endpoint has a verdict')
        used += own.length
      }
    }
  }
  assert.ok(used > 1000)
})
