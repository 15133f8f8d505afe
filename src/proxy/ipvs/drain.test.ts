import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drainAlso, drained, drainForMs, parseConnections, stillDraining } from './drain.ts'

const one = { server: '-t 10.96.0.1:80', endpoint: '10.244.0.2:80' }, two = { server: '-t [fd00::1]:80', endpoint: '[fd00::2]:8080' }
const listing = `\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.1:80 rr persistent 10800
  -> 10.244.0.2:80                Masq    0      1          2         
  -> 10.244.0.3:80                Masq    1      0          0         
UDP  10.96.0.1:53 mh (mh-port)
TCP  [fd00::1]:80 lc
  -> [fd00::2]:8080               Masq    0      0          0         
`

test('connections are read from the listing', () => {
  assert.deepEqual([...parseConnections(listing)], [['-t 10.96.0.1:80 -r 10.244.0.2:80', 3], ['-t 10.96.0.1:80 -r 10.244.0.3:80', 0], ['-t [fd00::1]:80 -r [fd00::2]:8080', 0]])
})

test('without connections at once, else when the time is up', () => {
  const drain = drainAlso(new Map(), [one, two], 1000), connections = parseConnections(listing), plain = (all: ReturnType<typeof drained>) => all.map(({ endpoint }) => endpoint)
  assert.deepEqual(plain(drained(drain, connections, 1000)), [two.endpoint])
  assert.deepEqual(plain(drained(drain, connections, 1000 + drainForMs - 1)), [two.endpoint])
  assert.deepEqual(plain(drained(drain, connections, 1000 + drainForMs)), [one.endpoint, two.endpoint])
})

test('a second mention does not prolong it', () => {
  const drain = drainAlso(drainAlso(new Map(), [one], 1000), [one], 500_000)
  assert.equal(drained(drain, parseConnections(listing), 1000 + drainForMs).length, 1)
})

test('what is wanted again, or gone, drains no more', () => {
  const drain = drainAlso(new Map(), [one, two], 0)
  assert.equal(stillDraining(drain, ({ server }) => server === one.server ? 1 : undefined).size, 0)
  assert.equal(stillDraining(drain, () => 0).size, 2)
})
