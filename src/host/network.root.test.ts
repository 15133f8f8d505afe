// Namespaces, links and routes for real, in namespaces of this test's own.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { applyIp, ipBatch } from './ip.ts'
import { isolated } from './isolated.ts'
import { connectIn, createNetns, inNetns, netnsPath, removeNetns } from './netns.ts'
import { run } from './run.ts'

test('ip batch: masters before ports, what exists is not made again', () => {
  const config = { links: [{ name: 'br', kind: 'bridge' as const, addresses: ['10.0.0.1/24'] }, { name: 'v', kind: 'veth' as const, peer: { name: 'eth0', netns: 'n' }, master: 'br' }], routes: [{ to: 'default', via: '10.0.0.254' }, { to: '10.1.0.0/16', type: 'unreachable' as const }] }
  assert.equal(ipBatch(config, new Set(['br'])), 'link add v type veth peer name eth0 netns n\naddr replace 10.0.0.1/24 dev br\nlink set br up\nlink set v master br up\nroute replace default via 10.0.0.254\nroute replace unreachable 10.1.0.0/16\n')
})

isolated(import.meta.url, ['root', 'user'], () => {
  test('a server in another namespace, reached from a third; and this thread is where it was', async () => {
    const own = readFileSync('/proc/thread-self/net/dev', 'utf8')
    for (const name of ['a', 'b']) createNetns(name)
    await applyIp({ links: [{ name: 'veth-a', kind: 'veth', peer: { name: 'eth0', netns: 'b' }, addresses: ['192.168.109.1/24'] }] }, netnsPath('a'))
    const inB = { links: [{ name: 'eth0', kind: 'existing' as const, addresses: ['192.168.109.2/24'] }] }
    await applyIp(inB, netnsPath('b'))
    await applyIp(inB, netnsPath('b'))
    const server = createServer(socket => socket.end(`hello ${socket.remoteAddress}`))
    inNetns(netnsPath('a'), () => server.listen(80))
    const socket = await connectIn(netnsPath('b'), { host: '192.168.109.1', port: 80 })
    assert.match(String((await socket.toArray())[0]), /hello .*192\.168\.109\.2$/)
    await assert.rejects(connectIn(netnsPath('b'), { host: '192.168.109.1', port: 81 }), /ECONNREFUSED/)
    await assert.rejects(connectIn(undefined, { host: '192.168.109.1', port: 80 }), /ENETUNREACH/)
    assert.throws(() => inNetns(netnsPath('a'), () => { throw new Error('inside') }), /inside/)
    assert.equal(readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').length, own.split('\n').length)
    server.close()
    for (const name of ['a', 'b', 'never']) removeNetns(name)
    assert.ok(!existsSync(netnsPath('a')))
    assert.throws(() => inNetns(netnsPath('a'), () => 1), /ENOENT/)
  })

  test('an error of ip says which line', async () => {
    await assert.rejects(applyIp({ routes: [{ to: 'default', via: '10.9.9.9' }] }, undefined), /Command failed -:1/)
    await assert.rejects(run(['true'], { netns: '/run/netns/none' }), /No such file/)
  })
})
