import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resources } from '#api/resources.ts'
import { testNode, podOf } from './cluster.ts'
import { smallFake } from './smallfake.ts'

test('a pod runs and goes', async () => {
  const fake = smallFake()
  await using node = await testNode(fake.runtime)
  const t0 = performance.now()
  await node.client.create(resources.pods, 'default', podOf('web', { containers: [{ name: 'c', image: 'nginx:1.17.1' }] }))
  const pod = await node.until('web', p => p?.status?.phase === 'Running')
  console.log('running after', performance.now() - t0)
  console.log(JSON.stringify(pod!.status, undefined, 1))
  assert.equal(pod!.status!.containerStatuses![0]!.ready, true)
  await node.client.delete(resources.pods, 'default', 'web')
  await node.until('web', p => !p)
  console.log(await node.events('web'))
})
