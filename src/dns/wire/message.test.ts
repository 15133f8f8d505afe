import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import packet from 'dns-packet'
import { decode, encode, optRecord, readName, WireError, Writer, type Message } from './message.ts'
import { parseName, root, showName } from './name.ts'
import { parseData, parseRecord, showData, showRecord, words } from './rdata.ts'
import { flags, parseType, types } from './types.ts'

const name = (text: string) => parseName(text)!
const rr = (line: string) => parseRecord(line) ?? assert.fail(line)

/** One of every type with a layout, as zone files write them. */
const lines = [
  'a.example.org.	5	IN	A	10.0.0.1', 'a.example.org.	5	IN	AAAA	fd00::1', 'example.org.	5	IN	NS	ns.example.org.', 'w.example.org.	5	IN	CNAME	a.example.org.',
  'example.org.	5	IN	SOA	ns.example.org. host.example.org. 4294967295 7200 1800 86400 30', '1.0.0.10.in-addr.arpa.	5	IN	PTR	a.example.org.',
  'example.org.	5	IN	MX	10 mx.example.org.', 'example.org.	5	IN	TXT	"one" "t\\"wo\\\\ \\195"', '_http._tcp.example.org.	5	IN	SRV	0 50 80 a.example.org.',
  'example.org.	5	IN	HINFO	"cpu" "os"', 'example.org.	5	IN	NAPTR	100 10 "S" "SIP+D2U" "" _sip._udp.example.org.', 'example.org.	5	IN	DS	12345 13 2 00FFAA', 'example.org.	5	IN	CAA	0 "issue" "ca.example"',
  'example.org.	5	IN	DNSKEY	257 3 13 AQID', 'example.org.	5	IN	RRSIG	A 13 2 300 20301231235959 20261121000000 12345 example.org. AQIDBA==',
  'example.org.	5	IN	NSEC	a.example.org. A NS SOA TXT AAAA RRSIG NSEC CAA', 'h.example.org.	5	IN	NSEC3	1 0 10 AABB 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG', 'example.org.	5	IN	NSEC3PARAM	1 0 0 -',
  'example.org.	5	IN	DNAME	other.org.', 'example.org.	5	IN	URI	10 1 "https://x/"', '_443._tcp.example.org.	5	IN	TLSA	3 1 1 ABCD', 'example.org.	5	IN	TYPE65280	\\# 3 010203', 'example.org.	5	CH	TXT	"v"',
]

test('each type: text to data to text', () => {
  for (const line of lines) assert.equal(showRecord(rr(line)), line)
})

test('what does not fit its type is refused', () => {
  for (const line of ['a. 5 IN A 10.0.0', 'a. 5 IN A 10.0.0.1 2', 'a. 5 IN A', 'a. 5 IN MX x mx.', 'a. 5 IN MX 65536 mx.', 'a. 5 IN NOSUCH x', 'a. 4294967296 IN A 1.1.1.1', 'a. 5 IN TXT', 'a. 5 IN TYPE65280 x', 'a. IN', `a. 5 IN TXT ${'x'.repeat(256)}`]) {
    assert.equal(parseRecord(line), undefined, line)
  }
  assert.equal(parseData(types.DS, words('1 2 3 GG')), undefined)
})

test('malformed data prints as bytes', () => {
  assert.equal(showData({ type: types.A, data: Buffer.from([1, 2]) }), '\\# 2 0102')
  assert.equal(showData({ type: types.MX, data: Buffer.from([1]) }), '\\# 1 01')
  assert.equal(showData({ type: types.TXT, data: Buffer.from([9, 65]) }), '"A"')
})

const message = (given: Partial<Message> = {}): Message => ({ id: 7, flags: flags.QR | flags.AA, opcode: 0, rcode: 0, questions: [{ name: name('a.example.org.'), type: 1, class: 1 }], answer: lines.map(rr), authority: [], additional: [], ...given })

test('encode and decode give the same message, compressed', () => {
  const bytes = encode(message())
  const plain = lines.map(rr).reduce((sum, { name, data }) => sum + name.length + 10 + data.length, 0)
  assert.ok(bytes.length < plain * 0.8, `${bytes.length} of ${plain}`)
  assert.deepEqual(decode(bytes).answer.map(showRecord), lines)
  assert.ok(encode(decode(bytes)).equals(bytes))
})

test('dns-packet reads what we write, and we read what it writes', () => {
  const known = lines.slice(0, 9).map(rr)
  const theirs = packet.decode(encode(message({ answer: known, edns: { size: 1232, version: 0, extendedRcode: 0, dnssec: true, options: [] } })))
  assert.deepEqual(theirs.answers?.map(answer => [answer.name, answer.type]), known.map(({ name, type }) => [showName(name).slice(0, -1), Object.entries(types).find(([, n]) => n === type)![0]]))
  assert.deepEqual((theirs.answers![8] as packet.SrvAnswer).data, { priority: 0, weight: 50, port: 80, target: 'a.example.org' })
  const ours = decode(packet.encode(theirs as packet.Packet))
  assert.deepEqual(ours.answer.map(showRecord), known.map(showRecord))
  assert.equal(ours.edns?.dnssec, true)
})

test('names keep their case, and compress only against the same case', () => {
  const bytes = encode(message({ questions: [{ name: name('Www.Example.ORG'), type: 1, class: 1 }], answer: [rr('Www.Example.ORG. 5 IN CNAME www.example.org.')] }))
  assert.equal(showRecord(decode(bytes).answer[0]!), 'Www.Example.ORG.\t5\tIN\tCNAME\twww.example.org.')
})

test('extended rcodes and options travel in OPT', () => {
  const options = [{ code: 15, data: Buffer.from([0, 18]) }, { code: 65001, data: Buffer.alloc(0) }]
  const read = decode(encode(message({ answer: [], rcode: 16, edns: { size: 4096, version: 0, extendedRcode: 0, dnssec: false, options } })))
  assert.equal(read.rcode, 16)
  assert.deepEqual(read.edns?.options, options)
})

const head = (counts: number[]) => Buffer.from([0, 1, 0, 0, ...counts.flatMap(count => [count >> 8, count & 255])])

test('lies and loops are errors, quickly', () => {
  const cases: Record<string, Buffer> = {
    'short header': Buffer.alloc(11),
    'pointer to itself': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
    'pointer forward': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0xc0, 14, 0, 1, 0, 1])]),
    'pointers in a ring': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([1, 97, 0xc0, 12, 0, 1, 0, 1])]),
    'pointer cut off': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([0xc0])]),
    'label over 63': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([64, ...Array(64).fill(97), 0, 0, 1, 0, 1])]),
    'label past the end': Buffer.concat([head([1, 0, 0, 0]), Buffer.from([20, 97, 0])]),
    'name over 255': Buffer.concat([head([1, 0, 0, 0]), ...Array<Buffer>(5).fill(Buffer.from([62, ...Array<number>(62).fill(97)])), Buffer.from([0, 0, 1, 0, 1])]),
    'counts that lie': Buffer.concat([head([1, 65535, 65535, 65535]), Buffer.from([0, 0, 1, 0, 1])]),
    'no question': head([1, 0, 0, 0]),
    'record data past the end': Buffer.concat([head([0, 1, 0, 0]), Buffer.from([0, 0, 1, 0, 1, 0, 0, 0, 5, 255, 255])]),
    'name past its record': Buffer.concat([head([0, 1, 0, 0]), Buffer.from([0, 0, 5, 0, 1, 0, 0, 0, 5, 0, 1, 1, 97, 0])]),
    'bytes behind': Buffer.concat([head([0, 0, 0, 0]), Buffer.from([0])]),
    'two OPT': encode(message({ questions: [], answer: [], additional: [optRecord({ size: 512 }), optRecord({ size: 512 })] })),
  }
  for (const [what, bytes] of Object.entries(cases)) assert.throws(() => decode(bytes), WireError, what)
})

test('a chain of pointers as long as can be is read in linear time', () => {
  // 8,000 pointers, each to the one before: readName follows them all, once.
  const bytes = Buffer.alloc(16_000)
  bytes[0] = 1; bytes[1] = 97
  for (let i = 3; i + 2 < bytes.length; i += 2) bytes.writeUInt16BE(0xc000 | (i === 3 ? 0 : i - 2), i)
  const last = bytes.length - 3 - ((bytes.length - 6) % 2)
  const started = performance.now()
  assert.equal(readName(bytes, last % 2 ? last : last - 1).name, '\x01a\0')
  assert.ok(performance.now() - started < 100)
})

test('random and damaged messages: an error or a message that survives a round trip', () => {
  const seed = Number(process.env.SEED ?? randomBytes(4).readUInt32BE())
  let state = seed
  const random = (below: number) => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return (state >>> 0) % below }
  const good = encode(message())
  const started = performance.now()
  for (let n = 0; n < 5000; n++) {
    const bytes = n % 2 ? Buffer.from(Array.from({ length: random(120) }, () => random(256))) : Buffer.from(good.subarray(0, random(good.length) + 1))
    for (let i = random(6); i > 0 && bytes.length > 0; i--) bytes[random(bytes.length)] = [0, 0xc0, 0xff, 12, random(256)][random(5)]!
    let read: Message
    try { read = decode(bytes) } catch (error) {
      assert.ok(error instanceof WireError, `seed ${seed}, ${bytes.toString('hex')}: ${(error as Error).stack}`)
      continue
    }
    for (const record of read.answer) showRecord(record)
    const again = decode(encode(read))
    assert.deepEqual(again.answer, read.answer, `seed ${seed}: ${bytes.toString('hex')}`)
  }
  assert.ok(performance.now() - started < 5000, `seed ${seed}`)
})

test('the writer forgets what was cut', () => {
  const writer = new Writer(16)
  writer.name(name('a.example.org'))
  const { length } = writer
  writer.name(name('b.example.net'))
  writer.cut(length)
  writer.name(name('c.example.net'))
  assert.equal(showName(readName(writer.take(), length).name), 'c.example.net.')
  assert.equal(parseType('type65280'), 65280)
  assert.equal(root.length, 1)
})
