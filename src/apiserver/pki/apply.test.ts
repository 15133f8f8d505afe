import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { Pki } from '../config.ts'
import { ensurePki } from './apply.ts'

const dir = join(mkdtempSync(join(tmpdir(), 'fairway-pki-')), 'pki')
after(() => rmSync(join(dir, '..'), { recursive: true }))
const options = { serviceIp: '10.96.0.1', advertiseAddress: '192.168.109.1', nodeNames: ['k8s-master01', 'k8s-node01'] }
let pki: Pki
before(async () => { pki = await ensurePki(dir, options) })

describe('the certificates of a cluster', () => {
  test('are the files that ARCHITECTURE.md lists, for their owner alone', () => {
    assert.deepEqual(readdirSync(dir).sort(), ['admin', 'apiserver', 'apiserver-kubelet-client', 'ca', 'kubelet-k8s-master01', 'kubelet-k8s-node01']
      .flatMap(name => [`${name}.crt`, `${name}.key`]).concat('sa.key', 'sa.pub').sort())
    for (const file of readdirSync(dir)) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file)
  })
  test('satisfy openssl', async () => {
    for (const file of readdirSync(dir).filter(name => name.endsWith('.crt'))) {
      await promisify(execFile)('openssl', ['verify', '-x509_strict', '-CAfile', join(dir, 'ca.crt'), join(dir, file)])
    }
  })
  test('name the server as everybody calls it', () => {
    const certificate = new X509Certificate(pki.apiserver.cert)
    for (const name of ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost', 'k8s-node01']) assert.equal(certificate.checkHost(name), name)
    for (const ip of ['127.0.0.1', '::1', '10.96.0.1', '192.168.109.1']) assert.equal(certificate.checkIP(ip), ip)
  })
  test('name users and groups', () => {
    const subject = (cert: string) => new X509Certificate(cert).subject
    assert.equal(subject(pki.admin.cert), 'O=system:masters\nCN=kubernetes-admin')
    assert.equal(subject(pki.kubelets.get('k8s-node01')!.cert), 'O=system:nodes\nCN=system:node:k8s-node01')
  })
  test('stay the same the next time', async () => {
    assert.deepEqual(await ensurePki(dir, options), pki)
  })
  test('are made again where they lack a name, under the same CA', async () => {
    const other = await ensurePki(dir, { ...options, nodeNames: [...options.nodeNames, 'k8s-node02'] })
    assert.equal(other.ca, pki.ca)
    assert.notEqual(other.apiserver.cert, pki.apiserver.cert)
    assert.equal(other.admin.cert, pki.admin.cert)
    assert.equal(new X509Certificate(other.apiserver.cert).checkHost('k8s-node02'), 'k8s-node02')
  })
})
