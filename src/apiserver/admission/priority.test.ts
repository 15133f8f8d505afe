// Which priority a pod gets, and what is refused.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Pod, PodSpec } from '#api/core/v1.ts'
import { isForbidden } from '#lib/errors.ts'
import { keepPriority, resolvePriority } from './priority.ts'

const pod = (spec: Partial<PodSpec>, metadata: Partial<Pod['metadata']> = { name: 'x' }): Pod => ({ metadata: metadata as Pod['metadata'], spec: { containers: [], ...spec } })

describe('resolved', () => {
  const cases: [spec: Partial<PodSpec>, priority: number][] = [
    [{}, 0], [{ priorityClassName: '' }, 0], [{ priorityClassName: 'system-node-critical' }, 2_000_001_000], [{ priorityClassName: 'system-cluster-critical' }, 2_000_000_000],
    [{ priority: 0, preemptionPolicy: 'PreemptLowerPriority' }, 0],
  ]
  for (const [spec, priority] of cases) test(JSON.stringify(spec), () => {
    const draft = pod(spec)
    resolvePriority(draft)
    assert.deepEqual([draft.spec.priority, draft.spec.preemptionPolicy], [priority, 'PreemptLowerPriority'])
  })
})

describe('refused', () => {
  const cases: [draft: Pod, message: string][] = [
    [pod({ priorityClassName: 'y' }), 'pods "x" is forbidden: no PriorityClass with name y was found'],
    [pod({ priorityClassName: 'toString' }), 'pods "x" is forbidden: no PriorityClass with name toString was found'],
    [pod({ priorityClassName: 'y' }, { generateName: 'web-' }), 'pods "web-" is forbidden: no PriorityClass with name y was found'],
    [pod({ priority: 7 }), 'pods "x" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name'],
    [pod({ preemptionPolicy: 'Never' }), 'pods "x" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name'],
  ]
  for (const [draft, message] of cases) test(message, () => assert.throws(() => resolvePriority(draft), (error: Error) => {
    assert.ok(isForbidden(error))
    assert.equal(error.message, message)
    return true
  }))
})

test('an update keeps them', () => {
  const draft = pod({})
  keepPriority(draft, pod({ priority: 5, preemptionPolicy: 'Never' }))
  assert.deepEqual([draft.spec.priority, draft.spec.preemptionPolicy], [5, 'Never'])
})
