// Lines as Linux writes them, and what they mean for a packet.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Socket } from './explanation.ts'
import { listeningSockets, listens, socketsByAddress } from './sockets.ts'

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41234 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41235 1 0000000000000000 100 0 0 10 0
   2: 0201F40A:1F90 0301F40A:C350 01 00000000:00000000 00:00000000 00000000     0        0 41236 1 0000000000000000 100 0 0 10 0
`
const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41237 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1A0A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41238 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000201F40A:1A0B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41239 1 0000000000000000 100 0 0 10 0
   3: 000000FD000000000000000002000000:1A0C 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41240 1 0000000000000000 100 0 0 10 0
`
const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   77: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41241 2 0000000000000000 0
   78: 0201F40A:14EA 0301F40A:0035 01 00000000:00000000 00:00000000 00000000     0        0 41242 2 0000000000000000 0
`

test('only sockets that wait for anyone, with addresses as people write them', () => {
  const shown = (sockets: Socket[]) => sockets.map(({ protocol, ip, port }) => `${protocol} ${ip} ${port}`)
  assert.deepEqual(shown(listeningSockets(tcp + tcp6, 'TCP')),
    ['TCP 0.0.0.0 8080', 'TCP 127.0.0.1 80', 'TCP :: 3000', 'TCP ::1 6666', 'TCP 10.244.1.2 6667', 'TCP fd00::2 6668'])
  assert.deepEqual(shown(listeningSockets(udp, 'UDP')), ['UDP 0.0.0.0 5353'])
})

const open: Socket[] = [{ protocol: 'TCP', ip: '0.0.0.0', port: 8080 }, { protocol: 'TCP', ip: '127.0.0.1', port: 80 }, { protocol: 'TCP', ip: '::', port: 3000 },
  { protocol: 'TCP', ip: '10.244.1.2', port: 81 }, { protocol: 'UDP', ip: '0.0.0.0', port: 53 }]
const refused = (on: string[], otherPorts: number[]) => ({ answers: false, on, otherPorts })
const packets: [protocol: string, ip: string, port: number, want: object][] = [
  ['TCP', '10.244.1.2', 8080, { answers: true }],
  ['TCP', '10.244.1.2', 3000, { answers: true }],
  ['TCP', '10.244.1.2', 81, { answers: true }],
  ['TCP', 'fd00::2', 3000, { answers: true }],
  ['TCP', 'fd00::2', 8080, refused(['0.0.0.0'], [3000, 8080])],
  ['TCP', '10.244.1.2', 80, refused(['127.0.0.1'], [81, 3000, 8080])],
  ['TCP', '10.244.1.3', 81, refused(['10.244.1.2'], [3000, 8080])],
  ['TCP', '10.244.1.2', 53, refused([], [81, 3000, 8080])],
  ['UDP', '10.244.1.2', 53, { answers: true }],
  ['UDP', '10.244.1.2', 8080, refused([], [53])],
]
for (const [protocol, ip, port, want] of packets) test(`${protocol} to ${ip} port ${port}`, () => assert.deepEqual(listens(open, { protocol, ip, port }), want))

test('networks one after the other, each by its addresses', () => {
  const printed = `@\n1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.244.1.2/24 brd 10.244.1.255 scope global eth0\n2: eth0    inet6 fd00::2/64 scope global\n=TCP\n${tcp}${tcp6}=UDP\n${udp}@\n1: lo    inet 127.0.0.1/8\n2: eth0    inet 10.244.1.3/24\n=TCP\n=UDP\n`
  const found = socketsByAddress(printed)
  assert.deepEqual(Object.keys(found), ['10.244.1.2', 'fd00::2', '10.244.1.3'])
  assert.equal(found['10.244.1.2']!.length, 7)
  assert.deepEqual(found['10.244.1.3'], [])
})
