// Which pods come nearest to a selector, and what is a mistake and what is just another pod.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/core/v1.ts'
import { missText, nearMiss } from './labels.ts'
import { distance, nearest } from './likeness.ts'

const labels = (text: string) => Object.fromEntries(text.split(',').filter(Boolean).map(pair => pair.split('=') as [string, string]))
const pod = (text: string, i: number): Pod => ({ metadata: { name: `p${i}`, labels: labels(text) }, spec: { containers: [] } })

const table: [selector: string, pods: string[], want: string][] = [
  ['app=microservice-one', ['app=microservice-on', 'app=microservice-on', 'app=other'], 'p0,p1: app=microservice-on'],
  ['app=web', ['app=db'], ''],
  ['app=web', ['role=web'], ''],
  ['app=web', [], ''],
  ['app=web', [''], ''],
  ['app=web', ['app=Web'], 'p0: app=Web'],
  ['app=web', ['app=web-v2'], 'p0: app=web-v2'],
  ['app=web', ['apps=web'], 'p0: apps=web'],
  ['app=web', ['app.kubernetes.io/name=web'], 'p0: app.kubernetes.io/name=web'],
  ['app=web,tier=front', ['app=web'], 'p0: no label tier'],
  ['app=web,tier=front', ['app=web,tier=back', 'app=web,tier=fron'], 'p1: tier=fron'],
  ['app=web,tier=front,env=prod', ['env=prod'], 'p0: no label app, no label tier'],
  ['app=web,tier=front', ['app=shop,tier=data'], ''],
]
for (const [selector, pods, want] of table) test(`${selector} among ${pods.join(' | ') || 'none'}`, () => {
  const near = nearMiss(labels(selector), pods.map(pod))
  assert.equal(near ? `${near.pods.map(each => each.metadata.name).join()}: ${near.misses.map(missText).join(', ')}` : '', want)
})

test('edits between words', () => {
  assert.deepEqual([distance('kitten', 'sitting'), distance('', 'abc'), distance('a', 'a')], [3, 3, 0])
  assert.equal(nearest('htp', ['http', 'https', 'metrics']), 'http')
  assert.equal(nearest('http', ['metrics']), undefined)
})
