// The whole server on loopback, asked over real sockets; answers are read by dns-packet.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import packet from 'dns-packet'
import { silent } from '#lib/log.ts'
import { Frames, framed } from './listeners/frames.ts'
import { DnsServer } from './server.ts'
import { testServer } from './testing/server.ts'
import { decode } from './wire/message.ts'

const run = promisify(execFile)
const servers: DnsServer[] = []
after(() => Promise.all(servers.map(server => server.stop())))
async function start(corefile: string): Promise<{ server: DnsServer; port: number; printed: string[] }> {
  const started = await testServer(corefile)
  servers.push(started.server)
  return started
}

/** What comes back over UDP within `ms`, or undefined. */
async function udp(port: number, message: Buffer, ms = 2000): Promise<Buffer | undefined> {
  const socket = createSocket('udp4')
  try {
    socket.send(message, port, '127.0.0.1')
    return (await once(socket, 'message', { signal: AbortSignal.timeout(ms) }))[0] as Buffer
  } catch { return undefined } finally { socket.close() }
}
const query = (name: string, type: packet.RecordType, more: Partial<packet.Packet> = {}) => packet.encode({ type: 'query', id: 4711, flags: packet.RECURSION_DESIRED, questions: [{ name, type }], ...more })
const edns = (udpPayloadSize: number, more: object = {}): Partial<packet.Packet> => ({ additionals: [{ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [], extendedRcode: 0, ednsVersion: 0, flag_do: false, ...more } as unknown as packet.Answer] })
async function tcp(port: number): Promise<{ socket: Socket; next: () => Promise<Buffer> }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const frames = new Frames(), ready: Buffer[] = [], waiting: ((message: Buffer) => void)[] = []
  socket.on('data', (piece: Buffer) => { for (const message of frames.add(piece)) waiting.length ? waiting.shift()!(message) : ready.push(message) })
  return { socket, next: () => new Promise(resolve => { ready.length ? resolve(ready.shift()!) : waiting.push(resolve) }) }
}

test('UDP and TCP give the same answer, in the asker\'s case', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  local\n}')
  const over = decode((await udp(port, query('LoCaLhOsT', 'A')))!)
  assert.equal(over.questions[0]!.name, '\tLoCaLhOsT\0')
  assert.equal(over.answer[0]!.name, '\tLoCaLhOsT\0')
  const { socket, next } = await tcp(port)
  socket.write(framed(query('LoCaLhOsT', 'A')))
  assert.deepEqual(decode(await next()).answer, over.answer)
  socket.destroy()
  const theirs = packet.decode((await udp(port, query('LoCaLhOsT', 'A')))!)
  assert.deepEqual([theirs.id, theirs.flag_rd, theirs.flag_qr, (theirs.answers![0] as packet.StringAnswer).data], [4711, true, true, '127.0.0.1'])
})

for (const [type, host] of [['udp4', '127.0.0.1'], ['udp6', '::1']] as const) {
  test(`a burst over ${type}: each asker gets its own answer, and only that`, async () => {
    const { port, printed } = await start(`. {\n  bind ${host}\n  log . "{remote} {name}"\n  local\n}`)
    const askers = Array.from({ length: 20 }, () => createSocket(type))
    const got = askers.map(() => new Set<number>())
    for (const [n, socket] of askers.entries()) {
      socket.on('message', message => { const read = decode(message); assert.equal(read.questions[0]!.name.slice(1, 4), `a${String(n).padStart(2, '0')}`); got[n]!.add(read.id) })
      for (let id = 0; id < 20; id++) socket.send(query(`a${String(n).padStart(2, '0')}.localhost`, 'A', { id }), port, host)
    }
    for (let i = 0; i < 200 && got.some(ids => ids.size < 20); i++) await new Promise(resolve => setTimeout(resolve, 10))
    for (const socket of askers) socket.close()
    assert.deepEqual(got.map(ids => ids.size), Array(20).fill(20))
    assert.equal(printed.length, 400)
    assert.ok(printed.every(line => line.startsWith(`[INFO] ${type === 'udp4' ? '127.0.0.1' : '[::1]'} a`)))
  })
}

test('what is no query gets the right refusal or nothing', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  whoami\n}')
  const good = query('a.org', 'A')
  const patched = (patches: Record<number, number>) => { const copy = Buffer.from(good); for (const [at, byte] of Object.entries(patches)) copy[Number(at)] = byte; return copy }
  for (const [what, message, rcode] of [
    ['an answer', patched({ 2: 0x81 }), undefined], ['11 bytes', good.subarray(0, 11), undefined], ['UPDATE', patched({ 2: 5 << 3 }), 4], ['two questions', patched({ 5: 2 }), 1], ['no question', patched({ 5: 0 }), 1],
    ['a compressed question', patched({ 12: 0xc0 }), 1], ['a label over 63', patched({ 12: 64 }), 1], ['a question cut off', good.subarray(0, 20), 1], ['an additional record that is not there', patched({ 11: 1 }), 1],
    ['class CH', patched({ [good.length - 1]: 3 }), 5],
  ] as const) {
    const out = await udp(port, message, rcode === undefined ? 200 : 2000)
    assert.equal(out && out[3]! & 15, rcode, what)
    if (out) assert.equal(out.readUInt16BE(0), 4711, what)
  }
})

test('EDNS0: version, unknown options, size, DO', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  whoami\n}')
  const version = decode((await udp(port, query('a.org', 'A', edns(1232, { ednsVersion: 1 }))))!)
  assert.equal(version.rcode, 16)
  assert.equal(version.edns?.version, 0)
  const unknown = decode((await udp(port, query('a.org', 'A', edns(1232, { options: [{ code: 65001, data: Buffer.from('x') }] }))))!)
  assert.equal(unknown.rcode, 0)
  assert.deepEqual(unknown.edns?.options, [])
  assert.equal(decode((await udp(port, query('a.org', 'A')))!).edns, undefined)
})

test('TCP: pipelined queries, pieces of bytes, many messages in one', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  local\n}')
  const { socket, next } = await tcp(port)
  const all = Buffer.concat(Array.from({ length: 300 }, (_, i) => framed(query('localhost', i % 2 ? 'A' : 'AAAA', { id: i + 1 }))))
  for (let i = 0; i < all.length; i += 777) socket.write(all.subarray(i, i + 777))
  const ids = new Set<number>()
  for (let i = 0; i < 300; i++) ids.add((await next()).readUInt16BE(0))
  assert.equal(ids.size, 300)
  socket.end()
  await once(socket, 'close')
})

test('TCP: an idle connection is closed', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  timeouts {\n    idle 1s\n  }\n  local\n}')
  const { socket } = await tcp(port)
  const started = performance.now()
  await once(socket, 'close')
  assert.ok(performance.now() - started < 3000)
})

test('the longest zone answers; a name of no zone is refused', async () => {
  const { port } = await start('example.org {\n  bind 127.0.0.1\n  chaos ORG\n}\nsub.example.org 10.0.0.0/8 {\n  bind 127.0.0.1\n  whoami\n}')
  const rcode = async (name: string) => (await udp(port, query(name, 'A')))![3]! & 15
  assert.equal(await rcode('a.sub.example.org'), 0)
  assert.equal(await rcode('1.10.in-addr.arpa'), 0)
  assert.equal(await rcode('example.org'), 2) // chaos passes on, nobody is there
  assert.equal(await rcode('example.net'), 5)
  assert.equal(await rcode('notsub.example.net'), 5)
})

test('view chooses among blocks of one zone', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  view a {\n    expr type() in [\'AAAA\', \'TXT\'] && incidr(client_ip(), \'127.0.0.0/8\')\n  }\n  local\n}\n. {\n  bind 127.0.0.1\n  any\n}')
  assert.equal((await udp(port, query('localhost', 'AAAA')))![3]! & 15, 0)
  assert.equal((await udp(port, query('localhost', 'A')))![3]! & 15, 2)
})

test('reload: the same sockets, other answers, and a wrong Corefile changes nothing', async () => {
  let text = '. {\n  bind 127.0.0.1\n  whoami\n}'
  const { server, port } = await testServer(() => text)
  servers.push(server)
  assert.equal(await server.reload(), 'same')
  text = '. {\n  bind 127.0.0.1\n  nosuch\n}'
  await assert.rejects(server.reload(), /Corefile:3 - Error during parsing: unknown plugin 'nosuch'/)
  assert.equal((await udp(port, query('a.org', 'A')))![3]! & 15, 0)
  text = '. {\n  bind 127.0.0.1\n  acl {\n    block\n  }\n  whoami\n}'
  let lost = 0, asked = 0, isOver = false
  const asking = (async () => { while (!isOver) { asked++; if (!await udp(port, query('a.org', 'A'), 500)) lost++ } })()
  assert.equal(await server.reload(), 'reloaded')
  isOver = true
  await asking
  assert.equal(lost, 0, `of ${asked}`)
  assert.equal((await udp(port, query('a.org', 'A')))![3]! & 15, 5)
})

test('errors and log in CoreDNS\'s form', async () => {
  const { port, printed } = await start('. {\n  bind 127.0.0.1\n  errors\n  log\n  chaos\n}')
  await udp(port, query('a.org', 'MX'))
  assert.match(printed.join('\n'), /^\[ERROR\] plugin\/errors: 2 a\.org\. MX: plugin\/chaos: no next plugin found$/m)
  assert.match(printed.join('\n'), /^\[INFO\] 127\.0\.0\.1:\d+ - 4711 "MX IN a\.org\. udp 23 false 512" SERVFAIL qr,rd 23 [\d.]+s$/m)
})

test('Corefile mistakes: file and line', async () => {
  for (const [corefile, message] of [
    ['. {\n  ready {\n    nosuch\n  }\n}', /Corefile:3 .*nosuch/], ['. {\n  health :x\n}', /Corefile:2/], ['. {\n  log {\n    class nosuch\n  }\n}', /Corefile:3 .*unknown class/], ['. {\n  errors\n  errors\n}', /Corefile:3 .*only once/],
    ['. {\n  bufsize 100\n}', /Corefile:2 .*512/], ['a.org {\n}\na.org {\n}', /Corefile:3 .*already defined/], ['quic://. {\n}', /Corefile:1 .*not served/], ['', /no server block/], ['. {\n  view x {\n    expr nosuch()\n  }\n}', /Corefile:3 .*unknown name/],
    ['. {\n  acl {\n    block type NOSUCH\n  }\n}', /Corefile:3 .*legal QTYPE/], ['. {\n  bind nosuch0\n}', /Corefile:2 .*not a valid IP address/], ['. {\n  prometheus {\n    tls x\n  }\n}', /Corefile:3 .*not supported/],
  ] as const) {
    await assert.rejects(DnsServer.start({ corefile: () => ({ text: corefile, file: 'Corefile' }), port: 53535, log: silent, print: () => {}, fatal: () => {} }).then(server => server.stop()), message, corefile)
  }
})

test('dig, as people use it', async () => {
  const { port } = await start('. {\n  bind 127.0.0.1\n  chaos Fairway-1 someone\n  any\n  nsid here\n  local\n}')
  const dig = async (...args: string[]) => (await run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=2', ...args])).stdout
  assert.match(await dig('version.bind', 'TXT', 'CH', '+short'), /"Fairway-1"/)
  assert.match(await dig('localhost', 'A', '+tcp', '+short'), /^127\.0\.0\.1$/m)
  assert.match(await dig('x.org', 'ANY', '+notcp', '+short'), /RFC 8482/)
  assert.match(await dig('localhost', '+nsid'), /NSID:.*\("here"\)/)
  assert.match(await dig('-x', '127.0.0.1', '+short'), /^localhost\.$/m)
  assert.match(await dig('localhost', '+edns=1', '+noednsneg'), /status: BADVERS/)
  assert.match(await dig('localhost', '+ednsopt=65001:ff', '+cookie'), /status: NOERROR/)
  assert.match(await dig('localhost', '+opcode=notify'), /status: NOTIMP/)
})
