// StatefulSets: defaults, refusals, what an update may change.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StatefulSet } from '#api/apps/v1.ts'
import { statefulsets } from './statefulset.ts'
import { Machinery, refusals, Refused } from './testing.ts'

const spec = (more: object = {}) => ({ serviceName: 'web', selector: { matchLabels: { app: 'a' } },
  template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'nginx', image: 'nginx:1.17.2' }] } }, ...more })
const object = (more: object = {}, name = 'web') => ({ metadata: { name }, spec: spec(more) })
const create = (more: object = {}): StatefulSet => new Machinery().create(statefulsets, object(more))

describe('defaults', () => {
  const retain = { whenDeleted: 'Retain', whenScaled: 'Retain' }
  const cases: [name: string, given: object, expected: object][] = [
    ['nothing said', {}, { replicas: 1, podManagementPolicy: 'OrderedReady', revisionHistoryLimit: 10, persistentVolumeClaimRetentionPolicy: retain,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } }],
    ['a partition', { updateStrategy: { rollingUpdate: { partition: 2, maxUnavailable: '50%' } } }, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2, maxUnavailable: '50%' } } }],
    ['only the type', { updateStrategy: { type: 'RollingUpdate' } }, { updateStrategy: { type: 'RollingUpdate' } }],
    ['OnDelete', { updateStrategy: { type: 'OnDelete' } }, { updateStrategy: { type: 'OnDelete' } }],
    ['one retention', { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' } }, { persistentVolumeClaimRetentionPolicy: { ...retain, whenScaled: 'Delete' } }],
    ['no claims', { volumeClaimTemplates: [] }, { volumeClaimTemplates: undefined }],
  ]
  for (const [name, given, expected] of cases) test(name, () => {
    const made = create(given).spec as unknown as Record<string, unknown>
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map(key => [key, made[key]])), expected)
  })
  test('the status of a new one', () => assert.deepEqual(new Machinery().create(statefulsets, { ...object(), status: { replicas: 9 } }).status, { replicas: 0, availableReplicas: 0 }))
})

describe('refusals', () => {
  const cases: [name: string, more: object, errors: string[]][] = [
    ['claims for volumes', { volumeClaimTemplates: [{ metadata: { name: 'data' } }] }, ['spec.volumeClaimTemplates: Forbidden: PersistentVolumeClaims are not served by this cluster; give the pods their volumes in spec.template.spec.volumes, such as an emptyDir']],
    ['an unknown order', { podManagementPolicy: 'Random' }, ['spec.podManagementPolicy: Invalid value: "Random": must be \'OrderedReady\' or \'Parallel\'']],
    ['an unknown strategy', { updateStrategy: { type: 'X' } }, ['spec.updateStrategy: Invalid value: {"type":"X"}: must be \'RollingUpdate\' or \'OnDelete\'']],
    ['OnDelete with parameters', { updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } } }, ['spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy \'RollingUpdate\'']],
    ['a negative partition', { updateStrategy: { rollingUpdate: { partition: -1 } } }, ['spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0']],
    ['none unavailable', { updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } }, ['spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0']],
    ['more than all', { updateStrategy: { rollingUpdate: { maxUnavailable: '150%' } } }, ['spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "150%": must not be greater than 100%']],
    ['an unknown retention', { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Keep' } }, ['spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Keep": supported values: "Retain", "Delete"']],
    ['negative numbers', { replicas: -1, minReadySeconds: -1, ordinals: { start: -1 } },
      ['replicas', 'minReadySeconds', 'ordinals.start'].map(field => `spec.${field}: Invalid value: -1: must be greater than or equal to 0`)],
    ['an empty selector', { selector: {} }, ['spec.selector: Invalid value: {}: empty selector is invalid for statefulset']],
    ['labels that do not match', { selector: { matchLabels: { app: 'b' } } }, ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`']],
  ]
  for (const [name, more, errors] of cases) test(name, () => assert.deepEqual(refusals(statefulsets as never, object(more)), errors))
  test('a name that is no host name', () => assert.match(refusals(statefulsets as never, object({}, 'a.b')).join(), /^metadata\.name: Invalid value: "a\.b": a lowercase RFC 1123 label/))
})

describe('updates', () => {
  const forbidden = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
  const cases: [name: string, change: Partial<StatefulSet['spec']>, errors: string[]][] = [
    ['replicas, ordinals, strategy, history, seconds', { replicas: 5, ordinals: { start: 3 }, updateStrategy: { type: 'OnDelete' }, revisionHistoryLimit: 1, minReadySeconds: 4 }, []],
    ['the service', { serviceName: 'other' }, [forbidden]],
    ['the order', { podManagementPolicy: 'Parallel' }, [forbidden]],
    ['the selector', { selector: { matchLabels: { app: 'a', x: 'y' } }, template: { metadata: { name: '', labels: { app: 'a', x: 'y' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } }, [forbidden]],
  ]
  for (const [name, change, errors] of cases) test(name, () => {
    const machinery = new Machinery(), old = machinery.create(statefulsets, object())
    const update = () => machinery.update(statefulsets, old, draft => { Object.assign(draft.spec, structuredClone(change)) })
    if (errors.length === 0) update()
    else assert.throws(update, (error: Refused) => { assert.deepEqual(error.errors, errors); return true })
  })
  test('a status that does not add up', () => {
    const old = create(), bad = { ...old, status: { replicas: 1, readyReplicas: 2, availableReplicas: 3 } }
    assert.deepEqual(statefulsets.validateStatusUpdate!(bad, old, new Machinery().context).map(error => error.field), ['status.readyReplicas', 'status.availableReplicas', 'status.availableReplicas'])
  })
})

test('scale', () => {
  const made = { ...create({ replicas: 3 }), status: { replicas: 2 } }
  assert.deepEqual(statefulsets.scale!.get(made), { replicas: 3, statusReplicas: 2, selector: 'app=a' })
})
