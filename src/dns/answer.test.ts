import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack, render, unpack } from './answer.ts'
import { records, type Packed } from './plugin.ts'
import { ask, name, show } from './testing.ts'
import { decode } from './wire/message.ts'
import { address, cname, showData, soa, srv, txt } from './wire/rdata.ts'
import { flags } from './wire/types.ts'

const host = name('svc.ns.svc.cluster.local')
const ten = records({ flags: flags.AA, answer: Array.from({ length: 10 }, (_, i) => address(host, 30, `10.0.0.${i}`)) })

test('packed and unpacked answers are the same message, in the asker\'s case', () => {
  const negative = records({ rcode: 3, flags: flags.AA, authority: [soa(name('cluster.local'), 30, { mname: name('ns.dns.cluster.local'), rname: name('hostmaster.cluster.local'), serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 })] })
  const chain = records({ answer: [cname(host, 5, name('a.example.org')), address(name('a.example.org'), 5, '10.1.1.1')], additional: [srv(host, 5, { priority: 0, weight: 1, port: 2, target: host })] })
  for (const answer of [ten, negative, chain]) {
    const query = ask('SvC.Ns.svc.CLUSTER.local', 'A', { dnssec: true })
    const packed = pack(answer, { name: query.name, type: 1 })
    const bytes = decode(render(query, packed))
    assert.equal(bytes.questions[0]!.name, query.asked)
    assert.equal(bytes.flags, flags.QR | flags.RD | answer.flags)
    assert.deepEqual([bytes.answer.length, bytes.authority.length, bytes.additional.length, bytes.edns?.dnssec], [answer.answer.length, answer.authority.length, answer.additional.length, true])
    if (answer.answer[0]) assert.equal(bytes.answer[0]!.name, query.asked)
    assert.equal(show(packed, ask('svc.ns.svc.cluster.local')), show(answer, ask('svc.ns.svc.cluster.local')))
  }
})

test('turning: all records, another first, with and without being packed', () => {
  const query = ask('svc.ns.svc.cluster.local')
  const packed = pack(ten, { name: query.name, type: 1 })
  assert.equal(packed.width, 16)
  for (const turn of [0, 1, 9, 10, 23]) {
    const turned: Packed = { ...packed, turn }
    const expected = Array.from({ length: 10 }, (_, i) => `10.0.0.${(i + turn) % 10}`)
    assert.deepEqual(decode(render(query, turned)).answer.map(showData), expected)
    assert.deepEqual(unpack(turned, query).answer.map(showData), expected)
  }
})

test('truncation: what fits, TC, never more than the size; additional records go without TC', () => {
  const many = records({ answer: Array.from({ length: 60 }, (_, i) => address(host, 30, `10.0.1.${i}`)), additional: [txt(host, 5, 'x')] })
  for (const answer of [many, pack(many, { name: host, type: 1 })]) {
    const query = ask('svc.ns.svc.cluster.local')
    query.size = 512
    const bytes = render(query, answer)
    const message = decode(bytes)
    assert.ok(bytes.length <= 512 && bytes.length > 490)
    assert.ok(message.flags & flags.TC)
    assert.equal(message.answer.length, Math.floor((512 - query.end) / 16))
  }
  const query = ask('svc.ns.svc.cluster.local')
  query.size = 512
  const extra = decode(render(query, records({ answer: [address(host, 5, '10.0.0.1')], additional: Array.from({ length: 9 }, () => txt(host, 5, 'y'.repeat(80))) })))
  assert.deepEqual([extra.flags & flags.TC, extra.answer.length, extra.additional.length < 9], [0, 1, true])
})

test('an extended rcode needs OPT; without it only the lower bits go out', () => {
  assert.equal(decode(render(ask('a.org', 'A', { dnssec: true }), records({ rcode: 23 }))).rcode, 23)
  assert.equal(decode(render(ask('a.org'), records({ rcode: 23 }))).rcode, 7)
})
