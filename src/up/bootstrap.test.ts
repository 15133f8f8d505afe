import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonSet } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { missingFrom } from './bootstrap.ts'

const ready = [{ type: 'Ready', status: 'True' }]
const node = (name: string, revision: number): Node => ({ metadata: { name, resourceVersion: String(revision) }, spec: {}, status: { conditions: ready } })
const pod = (name: string, revision: number, isReady = true): Pod => ({ metadata: { name, resourceVersion: String(revision) }, spec: { containers: [] },
  status: isReady ? { phase: 'Running', conditions: ready } : { phase: 'Pending', containerStatuses: [{ name: 'c', ready: false, restartCount: 0, image: '', imageID: '', state: { waiting: { reason: 'ContainerCreating' } } }] } })
const set = (wanted: number): DaemonSet => ({ metadata: { name: 'kube-proxy', generation: 1 }, spec: { selector: {}, template: {} } as unknown as DaemonSet['spec'],
  status: { observedGeneration: 1, desiredNumberScheduled: wanted, currentNumberScheduled: wanted, numberMisscheduled: 0, numberReady: wanted } })

const cases: [name: string, nodes: Node[], pods: Pod[], sets: DaemonSet[], missing: string | undefined][] = [
  ['a node that is not there', [node('a', 11)], [], [set(2)], 'waiting for nodes: 1 of 2 ready'],
  ['nodes that were ready in an earlier run', [node('a', 11), node('b', 9)], [], [set(2)], 'waiting for nodes: 1 of 2 ready'],
  ['a DaemonSet that does not count all nodes yet', [node('a', 11), node('b', 12)], [pod('x', 13)], [set(1)], 'waiting for the pods of kube-proxy'],
  ['a pod that is not ready', [node('a', 11), node('b', 12)], [pod('x', 13), pod('y', 14, false)], [set(2)], 'waiting for system pods: 1 of 2 ready (y: ContainerCreating)'],
  ['a pod of an earlier run', [node('a', 11), node('b', 12)], [pod('x', 13), pod('y', 8)], [set(2)], 'waiting for system pods: 1 of 2 ready (y: Running)'],
  ['nothing', [node('a', 11), node('b', 12)], [pod('x', 13), pod('y', 14)], [set(2)], undefined],
]
for (const [name, nodes, pods, daemonSets, missing] of cases) test(`waits for ${name}`, () => {
  assert.equal(missingFrom({ nodes, pods, daemonSets, deployments: [] }, { nodes: 2, since: 10 }), missing)
})
