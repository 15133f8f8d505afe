import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, NodeSelectorRequirement, Taint, Toleration } from '#api/core/v1.ts'
import { matchesNodeAffinity, matchesNodeSelectorTerm, tolerates } from './placement.ts'

const taint: Taint = { key: 'k', value: 'v', effect: 'NoSchedule' }
const tolerations: [toleration: Toleration, want: boolean][] = [
  [{ key: 'k', value: 'v', effect: 'NoSchedule' }, true], [{ key: 'k', operator: 'Equal', value: 'other' }, false], [{ key: 'k', value: 'v' }, true],
  [{ key: 'k', operator: 'Exists' }, true], [{ key: 'other', operator: 'Exists' }, false], [{ operator: 'Exists' }, true],
  [{ operator: 'Exists', effect: 'NoExecute' }, false], [{}, false], [{ key: 'k', operator: 'Unknown', value: 'v' }, false],
]
for (const [toleration, want] of tolerations) test(`${JSON.stringify(toleration)} ${want ? 'tolerates' : 'does not tolerate'} k=v:NoSchedule`, () => assert.equal(tolerates(toleration, taint), want))

const node: Node = { metadata: { name: 'n', labels: { zone: 'a', cores: '8', word: 'many' } }, spec: {} }
const requirements: [key: string, operator: string, values: string[], want: boolean][] = [
  ['zone', 'In', ['a', 'b'], true], ['zone', 'NotIn', ['a'], false], ['none', 'NotIn', ['a'], true], ['zone', 'Exists', [], true], ['none', 'Exists', [], false],
  ['none', 'DoesNotExist', [], true], ['cores', 'Gt', ['7'], true], ['cores', 'Gt', ['8'], false], ['cores', 'Lt', ['10'], true], ['word', 'Gt', ['1'], false], ['none', 'Lt', ['1'], false],
]
for (const [key, operator, values, want] of requirements) test(`${key} ${operator} ${values}`, () => {
  const requirement: NodeSelectorRequirement = { key, operator, values }
  assert.equal(matchesNodeSelectorTerm({ matchExpressions: [requirement] }, node), want)
})

test('terms are alternatives, an empty one matches nothing, no terms match nothing, no affinity matches all', () => {
  const required = (nodeSelectorTerms: object[]) => ({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } })
  assert.equal(matchesNodeAffinity(required([{}, { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n'] }] }]), node), true)
  assert.equal(matchesNodeAffinity(required([{}]), node), false)
  assert.equal(matchesNodeAffinity(required([]), node), false)
  assert.equal(matchesNodeAffinity({}, node), true)
  assert.equal(matchesNodeAffinity({ nodeSelector: { zone: 'b' } }, node), false)
})
