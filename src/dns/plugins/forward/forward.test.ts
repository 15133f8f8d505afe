// forward against real upstreams on loopback: UDP, TCP and TLS, and what goes wrong on the way.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import type { Answer, Env, Instance, Result } from '../../plugin.ts'
import { ask, chainOf, name, show, testEnv } from '../../testing.ts'
import { encode } from '../../wire/message.ts'
import { address } from '../../wire/rdata.ts'
import { rcodes } from '../../wire/types.ts'
import { plugin } from './plugin.ts'
import { answering, reply, upstream, type Behaviour, type TestUpstream } from './testing/server.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'fairway-forward-'))
const toClose: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
after(async () => { for (const close of toClose.reverse()) await close() })

const open = async (behave: Behaviour, options: Parameters<typeof upstream>[1] = {}): Promise<TestUpstream> => {
  const server = await upstream(behave, options)
  toClose.push(() => server.close())
  return server
}
/** Real time, so that real sockets and timeouts meet. */
const realEnv = (): Env => testEnv({
  now: () => Date.now(), random: () => Math.random(),
  later: (ms, call) => { const timer = setTimeout(call, ms); return () => clearTimeout(timer) },
})
async function start(lines: string, { env = realEnv() }: { env?: Env } = {}): Promise<{ instance: Instance; serve: (text: string, type?: string, more?: Parameters<typeof ask>[2]) => Promise<string>; raw: (text: string) => Result; env: Env }> {
  const { instance, serve } = chainOf(plugin, lines, { env })
  await instance.start?.()
  toClose.push(() => instance.stop?.())
  const raw = (text: string) => serve(ask(text))
  return { instance, raw, env, serve: async (text, type, more) => { const query = ask(text, type, more); return show(await serve(query), query) } }
}
const ip = (text: string): Behaviour => answering(asked => address(asked.questions[0]!.name, 60, text))
const is = (owner: string, text: string) => `NOERROR\n;answer\n${owner}.\t60\tIN\tA\t${text}`

test('answers come back in the asker\'s case, over random ports with random ids', async () => {
  const server = await open(ip('192.0.2.1'))
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  for (let n = 0; n < 200; n++) assert.equal(await serve(`WwW${n}.Example.ORG`), is(`WwW${n}.Example.ORG`, '192.0.2.1'))
  const ports = new Set(server.seen.map(({ port }) => port)), ids = new Set(server.seen.map(({ message }) => message.id))
  assert.ok(ports.size >= 16, `${ports.size} ports`)
  assert.ok(ids.size > 190, `${ids.size} ids`)
  assert.ok(server.seen.every(({ tcp }) => !tcp))
  const gaps = new Set([...ports].sort((a, b) => a - b).map((port, i, all) => port - (all[i - 1] ?? 0)))
  assert.ok(gaps.size > ports.size / 2, 'ports one after the other')
})

test('replies to another question, with another id, malformed or no replies at all are left lying', async () => {
  const server = await open((asked, { raw }) => {
    const good = reply(asked, { answer: [address(asked.questions[0]!.name, 60, '192.0.2.1')] })
    const patched = (at: number) => { const copy = Buffer.from(good); copy[at]! ^= 1; return copy }
    const lies = { answer: [address(asked.questions[0]!.name, 60, '203.0.113.66')] }
    return [
      Buffer.from([1]), raw, patched(0), patched(14), patched(raw.length - 1), patched(raw.length - 3),
      reply({ ...asked, questions: [{ ...asked.questions[0]!, name: name('evil.org') }] }, lies), reply({ ...asked, id: asked.id ^ 0x100 }, lies), good,
    ]
  })
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  assert.equal(await serve('a.org'), is('a.org', '192.0.2.1'))
})

test('equal questions in flight go out once; others do not share', async () => {
  const server = await open(async asked => {
    await new Promise(resolve => setTimeout(resolve, 60))
    return { answer: [address(asked.questions[0]!.name, 60, '192.0.2.1')] }
  })
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  const all = await Promise.all([serve('a.org'), serve('A.org'), serve('a.ORG'), serve('a.org', 'AAAA'), serve('a.org', 'A', { dnssec: true }), serve('b.org')])
  assert.deepEqual(all.slice(0, 3), [is('a.org', '192.0.2.1'), is('A.org', '192.0.2.1'), is('a.ORG', '192.0.2.1')])
  assert.equal(server.seen.length, 4)
  await serve('a.org')
  assert.equal(server.seen.length, 5)
})

test('a truncated answer is fetched again over TCP; connections are kept', async () => {
  const many = (owner: ReturnType<typeof name>) => Array.from({ length: 100 }, (_, i) => address(owner, 60, `192.0.2.${i}`))
  const server = await open((asked, { tcp }) => tcp ? { answer: many(asked.questions[0]!.name) } : { flags: 0x8380, answer: [] })
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  for (const owner of ['a.org', 'b.org']) assert.equal((await serve(owner)).split('\n').length, 102)
  assert.deepEqual(server.seen.map(({ tcp }) => tcp), [false, true, false, true])
  assert.equal(server.connections(), 1)
})

test('force_tcp pipelines on one connection, and a connection that was closed meanwhile is opened anew', async () => {
  const server = await open(ip('192.0.2.1'))
  const { serve } = await start(`forward . 127.0.0.1:${server.port} {\n force_tcp\n}`)
  const owners = Array.from({ length: 40 }, (_, i) => `n${i}.org`)
  assert.deepEqual(await Promise.all(owners.map(owner => serve(owner))), owners.map(owner => is(owner, '192.0.2.1')))
  assert.equal(server.connections(), 1)
  assert.ok(server.seen.every(({ tcp }) => tcp))
  const { port } = server
  await server.close()
  const again = await open(ip('192.0.2.2'), { port })
  assert.equal(await serve('b.org'), is('b.org', '192.0.2.2'))
  assert.equal(again.connections(), 1)
})

test('TLS: the certificate is checked against tls_servername', async () => {
  const key = join(folder, 'key.pem'), cert = join(folder, 'cert.pem')
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=dns.test', '-addext', 'subjectAltName=DNS:dns.test'])
  const server = await open(ip('192.0.2.1'), { tls: { key: readFileSync(key), cert: readFileSync(cert) } })
  const { serve } = await start(`forward . tls://127.0.0.1:${server.port} {\n tls ${cert}\n tls_servername dns.test\n}`)
  for (const owner of ['a.org', 'b.org']) assert.equal(await serve(owner), is(owner, '192.0.2.1'))
  assert.equal(server.connections(), 1)
  const named = await start(`forward . tls://127.0.0.1%dns.test:${server.port} {\n tls ${cert}\n}`)
  assert.equal(await named.serve('a.org'), is('a.org', '192.0.2.1'))
  for (const lines of [`tls ${cert}\n tls_servername other.test`, 'tls_servername dns.test']) {
    const wrong = await start(`forward . tls://127.0.0.1:${server.port} {\n ${lines}\n max_fails 0\n}`)
    assert.equal(await wrong.serve('a.org'), 'SERVFAIL')
  }
})

test('an upstream where nobody listens is passed over at once', async () => {
  const server = await open(ip('192.0.2.1')), gone = await upstream(ip('192.0.2.2'))
  await gone.close()
  const { serve } = await start(`forward . 127.0.0.1:${gone.port} 127.0.0.1:${server.port} {\n policy sequential\n}`)
  const begun = Date.now()
  assert.equal(await serve('a.org'), is('a.org', '192.0.2.1'))
  assert.ok(Date.now() - begun < 300, `${Date.now() - begun} ms`)
})

test('an upstream that says nothing costs a moment once, and answers SERVFAIL in time when there is no other', async () => {
  const silent = await open(() => undefined), server = await open(ip('192.0.2.1'))
  const { serve } = await start(`forward . 127.0.0.1:${silent.port} 127.0.0.1:${server.port} {\n policy sequential\n}`)
  let begun = Date.now()
  assert.equal(await serve('a.org'), is('a.org', '192.0.2.1'))
  assert.ok(Date.now() - begun < 900, `${Date.now() - begun} ms at first`)
  begun = Date.now()
  assert.equal(await serve('b.org'), is('b.org', '192.0.2.1'))
  assert.ok(Date.now() - begun < 100, `${Date.now() - begun} ms then`)
  const alone = await start(`forward . 127.0.0.1:${silent.port}`)
  begun = Date.now()
  assert.equal(await alone.serve('a.org'), 'SERVFAIL')
  assert.ok(Date.now() - begun < 4000, `${Date.now() - begun} ms alone`)
})

test('max_concurrent refuses what is above it', async () => {
  const server = await open(async asked => { await new Promise(resolve => setTimeout(resolve, 50)); return { answer: [address(asked.questions[0]!.name, 60, '192.0.2.1')] } })
  const { serve } = await start(`forward . 127.0.0.1:${server.port} {\n max_concurrent 2\n}`)
  const all = await Promise.all(['a.org', 'b.org', 'c.org'].map(owner => serve(owner)))
  assert.deepEqual(all.map(text => text.split('\n')[0]), ['NOERROR', 'NOERROR', 'REFUSED'])
  assert.equal(await serve('c.org'), is('c.org', '192.0.2.1'))
})

test('except, several routes, next and failover', async () => {
  const refuses = await open(() => ({ rcode: rcodes.REFUSED })), denies = await open(() => ({ rcode: rcodes.NXDOMAIN })), server = await open(ip('192.0.2.1'))
  const to = (one: TestUpstream) => `127.0.0.1:${one.port}`
  const failover = await start(`forward . ${to(refuses)} ${to(server)} {\n policy sequential\n failover SERVFAIL REFUSED\n}`)
  assert.equal(await failover.serve('a.org'), is('a.org', '192.0.2.1'))
  const last = await start(`forward . ${to(refuses)} {\n failover REFUSED\n}`)
  assert.equal(await last.serve('a.org'), 'REFUSED')
  const next = await start(`forward lab.org ${to(denies)} {\n next NXDOMAIN\n}\nforward org ${to(server)} {\n except no.org\n}`)
  assert.equal(await next.serve('x.lab.org'), is('x.lab.org', '192.0.2.1'))
  assert.equal(denies.seen.length, 1)
  assert.equal(await next.serve('no.org'), 'SERVFAIL') // the end of the chain
  const nobody = await start(`forward . ${to(denies)} {\n next NXDOMAIN\n}`)
  assert.equal(await nobody.serve('a.org'), 'NXDOMAIN')
})

test('EDNS0: as asked, but for options between neighbours; the OPT record of the reply is not passed on', async () => {
  const server = await open(asked => ({ answer: [address(asked.questions[0]!.name, 60, '192.0.2.1')], ...(asked.edns && { edns: { ...asked.edns, options: [] } }) }))
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  assert.equal(await serve('a.org'), is('a.org', '192.0.2.1'))
  assert.equal(await serve('a.org', 'A', { dnssec: true }), is('a.org', '192.0.2.1'))
  assert.deepEqual(server.seen.map(({ message }) => [message.edns?.size, message.edns?.dnssec]), [[undefined, undefined], [1232, true]])
})

test('a malformed reply is a failure, not an answer', async () => {
  const server = await open(asked => { const whole = encode({ ...asked, flags: 0x8180, answer: [address(asked.questions[0]!.name, 60, '192.0.2.1')] }); return whole.subarray(0, whole.length - 2) })
  const { serve } = await start(`forward . 127.0.0.1:${server.port}`)
  assert.equal(await serve('a.org'), 'SERVFAIL')
})

test('policies', async () => {
  const servers = await Promise.all([1, 2, 3].map(n => open(ip(`192.0.2.${n}`))))
  const to = servers.map(({ port }) => `127.0.0.1:${port}`).join(' ')
  const asked = async (policy: string) => {
    const before = servers.map(({ seen }) => seen.length)
    const { serve } = await start(`forward . ${to} {\n policy ${policy}\n}`)
    for (let n = 0; n < 30; n++) await serve(`${n}.org`)
    return servers.map(({ seen }, i) => seen.length - before[i]!)
  }
  assert.deepEqual(await asked('sequential'), [30, 0, 0])
  assert.deepEqual(await asked('round_robin'), [10, 10, 10])
  assert.ok((await asked('random')).every(count => count > 0))
})

test('nameservers from a file; a file without any refuses at once; a missing file refuses the Corefile', async () => {
  const none = join(folder, 'none.conf')
  writeFileSync(none, '# nothing\nsearch example.org\n')
  const { serve } = await start(`forward . ${none}`)
  const begun = Date.now()
  assert.equal(await serve('a.org'), 'SERVFAIL')
  assert.ok(Date.now() - begun < 50)
  await assert.rejects(start(`forward . ${folder}/missing`), /^CorefileError: Corefile:2 - Error during parsing: cannot read .*missing/)
})

test('nothing is left behind', async () => {
  const server = await open(ip('192.0.2.1'))
  const { instance, serve, raw } = await start(`forward . 127.0.0.1:${server.port}`)
  await serve('a.org')
  const late = raw('late.org') as Promise<Answer>
  await instance.stop?.() // what is under way is answered first
  assert.equal((await late).rcode, rcodes.NOERROR)
  const kinds = (process as unknown as { getActiveResourcesInfo(): string[] }).getActiveResourcesInfo()
  assert.ok(kinds.filter(kind => kind === 'UDPWrap').length <= 40, kinds.join())
})
