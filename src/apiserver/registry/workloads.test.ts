// Deployments, ReplicaSets and DaemonSets: defaults, refusals, scale.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DaemonSet, Deployment } from '#api/apps/v1.ts'
import { daemonsets } from './daemonset.ts'
import { deployments } from './deployment.ts'
import { replicasets } from './replicaset.ts'
import { Machinery, refusals, Refused } from './testing.ts'

const spec = (more: object = {}) => ({ selector: { matchLabels: { app: 'a' } },
  template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'nginx', image: 'nginx:1.17.2', ports: [{ containerPort: 80 }] }] } }, ...more })
const object = (more: object = {}) => ({ metadata: { name: 'w' }, spec: spec(more) })

const defaultedPod = { containers: [{ name: 'nginx', image: 'nginx:1.17.2', ports: [{ containerPort: 80, protocol: 'TCP' }], resources: {},
  terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File', imagePullPolicy: 'IfNotPresent' }],
  restartPolicy: 'Always', terminationGracePeriodSeconds: 30, dnsPolicy: 'ClusterFirst', schedulerName: 'default-scheduler', securityContext: {} }
const template = { metadata: { labels: { app: 'a' } }, spec: defaultedPod }

describe('defaults', () => {
  test('a Deployment (b01, a09, c01)', () => {
    assert.deepEqual(new Machinery().create(deployments, object()).spec, { replicas: 1, selector: { matchLabels: { app: 'a' } }, template,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } }, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
  })
  test('a Deployment that recreates has no rolling update', () => {
    assert.deepEqual(new Machinery().create(deployments, object({ strategy: { type: 'Recreate' }, replicas: 0 })).spec.strategy, { type: 'Recreate' })
  })
  test('a ReplicaSet', () => {
    assert.deepEqual(new Machinery().create(replicasets, object()).spec, { replicas: 1, selector: { matchLabels: { app: 'a' } }, template })
  })
  test('a DaemonSet', () => {
    assert.deepEqual(new Machinery().create(daemonsets, object()).spec, { selector: { matchLabels: { app: 'a' } }, template,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }, revisionHistoryLimit: 10 })
  })
  test('a template keeps its limits and host ports as written', () => {
    const containers = [{ name: 'c', image: 'a', ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1' } } }]
    const made = new Machinery().create(deployments, object({ template: { metadata: { labels: { app: 'a' } }, spec: { hostNetwork: true, containers } } }))
    assert.deepEqual(made.spec.template.spec.containers[0]!.resources, { limits: { cpu: '1' } })
    assert.deepEqual(made.spec.template.spec.containers[0]!.ports, [{ containerPort: 80, protocol: 'TCP' }])
  })
})

describe('refusals', () => {
  const cases: [name: string, strategy: unknown, more: object, errors: string[]][] = [
    ['labels that the selector does not match', deployments, { selector: { matchLabels: { app: 'b' } } },
      ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`']],
    ['no selector', deployments, { selector: undefined }, ['spec.selector: Required value']],
    ['an empty selector', deployments, { selector: {} }, ['spec.selector: Invalid value: {}: empty selector is invalid for deployment']],
    ['no template', deployments, { template: undefined }, ['spec.template: Required value']],
    ['no containers', deployments, { template: { metadata: { labels: { app: 'a' } }, spec: {} } }, ['spec.template.spec.containers: Required value']],
    ['pods that do not restart', deployments, { template: { metadata: { labels: { app: 'a' } }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'a' }] } } },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']],
    ['fewer than none', deployments, { replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    ['an unknown strategy', deployments, { strategy: { type: 'Slowly' } }, ['spec.strategy.type: Unsupported value: "Slowly": supported values: "Recreate", "RollingUpdate"']],
    ['no room to roll', deployments, { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0']],
    ['more than all', deployments, { strategy: { rollingUpdate: { maxUnavailable: '101%' } } }, ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%']],
    ['a percentage that is none', deployments, { strategy: { rollingUpdate: { maxSurge: 'some' } } },
      ["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"some\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"]],
    ['rolling parameters for Recreate', deployments, { strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]],
    ['a deadline before ready', deployments, { minReadySeconds: 600 }, ['spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds']],
    ['a ReplicaSet of fewer than none', replicasets, { replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    ['a DaemonSet that can neither surge nor stop', daemonsets, { updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } },
      ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0']],
    ['an unknown DaemonSet strategy', daemonsets, { updateStrategy: { type: 'X' } }, ['spec.updateStrategy.type: Unsupported value: "X": supported values: "RollingUpdate", "OnDelete"']],
  ]
  for (const [name, strategy, more, errors] of cases) test(name, () => assert.deepEqual(refusals(strategy as never, object(more)), errors))

  test('a selector is for ever', () => {
    const machinery = new Machinery(), old = machinery.create(deployments, object())
    assert.throws(() => machinery.update(deployments, old, ({ spec: draft }) => {
      draft.selector = { matchLabels: { app: 'b' } }
      draft.template.metadata!.labels = { app: 'b' }
    }), (error: Refused) => { assert.deepEqual(error.errors, ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable']); return true })
  })
})

test('an update keeps the status; a new object has none', () => {
  const machinery = new Machinery()
  const old = { ...machinery.create(deployments, { ...object(), status: { replicas: 9 } }) } as Deployment
  assert.deepEqual(old.status, {})
  const running = { ...old, status: { replicas: 1 } }
  assert.deepEqual(machinery.update(deployments, running, draft => { draft.status = { replicas: 7 }; draft.spec.replicas = 3 }).status, { replicas: 1 })
  assert.equal((machinery.create(daemonsets, { ...object(), status: { numberReady: 9 } }) as DaemonSet).status!.numberReady, 0)
})

test('scale', () => {
  const made = { ...new Machinery().create(deployments, object({ replicas: 3 })), status: { replicas: 2 } }
  assert.deepEqual(deployments.scale!.get(made), { replicas: 3, statusReplicas: 2, selector: 'app=a' })
  const draft = structuredClone(made)
  deployments.scale!.set(draft, 10)
  assert.equal(draft.spec.replicas, 10)
})
