import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusText } from './status.ts'

test('a cluster that does not run says how to start it', () => {
  assert.equal(statusText({ name: 'other', running: false, dataDir: '/x' }, false), 'cluster "other" does not run: start it with "fairway up --name other"\n')
})

test('a running one shows where it is and its nodes', () => {
  const text = statusText({ name: 'default', running: true, ready: true, dataDir: '/d', kubeconfig: '/d/kubeconfig', pid: 7, api: 'https://127.0.0.1:6443', memoryMb: 200, startedAt: 't',
    nodes: [{ name: 'k8s-master01', ready: true, address: '192.168.109.100', podCidr: '10.244.0.0/24', pods: 1 }] }, true)
  assert.equal(text, `cluster     default (ready, process 7)
API         https://127.0.0.1:6443
kubeconfig  /d/kubeconfig
data        /d
memory      200 MB
started     t

NODE           READY   ADDRESS           PODS   POD RANGE
k8s-master01   yes     192.168.109.100   1      10.244.0.0/24
`)
})
