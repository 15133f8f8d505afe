// dnssec: RFC 6605's example, and what BIND's validator says of a whole server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { CorefileError } from '../../corefile/errors.ts'
import { records } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, show, testEnv } from '../../testing.ts'
import { testServer } from '../../testing/server.ts'
import { address, parseRecord } from '../../wire/rdata.ts'
import { keyTag, readKey } from './key.ts'
import { plugin } from './plugin.ts'
import { rrsig, signedData } from './rrsig.ts'
import { Signer } from './signer.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'fairway-dnssec-'))
const toClose: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
after(async () => { for (const close of toClose.reverse()) await close() })

// RFC 6605 6.1
const publicText = 'example.net. 3600 IN DNSKEY 257 3 13 ( GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== )'
const privateText = 'Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ='
const signature = parseRecord('www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==')!

/** A key as dnssec-keygen would write it. */
function makeKey(zone: string, flags: number): string {
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from(jwk.x!, 'base64url'), Buffer.from(jwk.y!, 'base64url')])
  const tag = keyTag(Buffer.concat([Buffer.from([flags >> 8, flags & 255, 3, 13]), point]))
  const base = join(folder, `K${zone}.+013+${String(tag).padStart(5, '0')}`)
  writeFileSync(`${base}.key`, `; a comment\n${zone}. IN DNSKEY ${flags} 3 13 ${point.toString('base64')}\n`)
  writeFileSync(`${base}.private`, `Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: ${Buffer.from(jwk.d!, 'base64url').toString('base64')}\n`)
  return base
}

test('RFC 6605: the tag of the key, and the data under its signature', () => {
  const key = readKey(publicText, privateText)
  assert.equal(key.tag, 55648)
  const point = key.dnskey.data.subarray(4), part = (from: number) => point.subarray(from, from + 32).toString('base64url')
  const their = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: part(0), y: part(32) } })
  const set = [address(name('WWW.example.net'), 3600, '192.0.2.1')], zone = name('example.net')
  const period = { inception: Date.UTC(2010, 7, 12, 10, 4, 39) / 1000, expiration: Date.UTC(2010, 8, 9, 10, 4, 39) / 1000 }
  const { head, data } = signedData(set, { key, zone, period })
  assert.deepEqual(signature.data.subarray(0, head.length), head)
  const isValid = (bytes: Buffer) => verify('sha256', data, { key: their, dsaEncoding: 'ieee-p1363' }, bytes.subarray(head.length))
  assert.ok(isValid(signature.data))
  assert.ok(isValid(rrsig(set, { key, zone, period }).data))
})

const lines = (base: string, more = '') => `dnssec example.org {\n key file ${base}\n${more}\n}`
const types = (text: string) => text.split('\n').filter(line => line.includes('\t')).map(line => line.split('\t')[3]!)
async function chain(corefile: string, next: Parameters<typeof chainOf>[2] & object) {
  const { serve, instance } = chainOf(plugin, corefile, next)
  await instance.start?.()
  return async (text: string, type = 'A', dnssec = true) => { const query = ask(text, type, { dnssec }); return show(await serve(query), query) }
}

test('only for those who ask, only in the zone, only once', async () => {
  const env = testEnv()
  const asks = await chain(lines(makeKey('example.org', 257)), { env, next: query => records({ answer: [address(query.asked, 60, '192.0.2.1')] }) })
  assert.deepEqual(types(await asks('A.example.org', 'A', false)), ['A'])
  assert.deepEqual(types(await asks('A.example.org')), ['A', 'RRSIG'])
  assert.match(await asks('a.EXAMPLE.org'), /^a\.EXAMPLE\.org\.\t60\tIN\tRRSIG/m)
  assert.deepEqual(types(await asks('a.example.com')), ['A'])
  const count = (name: string) => env.metrics.snapshot().find(family => family.name === name)!.series[0]![1][0]
  assert.deepEqual([count('coredns_dnssec_cache_hits_total'), count('coredns_dnssec_cache_misses_total')], [1, 1])
  env.advance(7 * 86_400_000)
  await asks('a.example.org')
  assert.equal(count('coredns_dnssec_cache_misses_total'), 2) // made anew in time
})
test('keys of two kinds sign their own', async () => {
  const ksk = makeKey('example.org', 257), zsk = makeKey('example.org', 256), tag = (base: string) => String(Number(base.slice(-5)))
  const asks = await chain(lines(`${ksk}.key ${zsk}.private`), { next: query => records({ answer: [address(query.asked, 60, '192.0.2.1')] }) })
  const by = (text: string) => [...text.matchAll(/RRSIG\t(\w+) .* (\d+) example\.org\. /g)].map(match => `${match[1]} ${match[2]}`)
  assert.deepEqual(by(await asks('a.example.org')), [`A ${tag(zsk)}`])
  const keys = await asks('example.org', 'DNSKEY')
  assert.deepEqual([by(keys), types(keys)], [[`DNSKEY ${tag(ksk)}`], ['DNSKEY', 'DNSKEY', 'RRSIG']])
})
test('signatures kept are bounded', () => {
  const signer = new Signer([readKey(publicText, privateText)], 10)
  for (let n = 0; n < 50; n++) signer.sign(records({ answer: [address(name(`n${n}.example.net`), 60, '192.0.2.1')] }), { name: name(`n${n}.example.net`), type: 1, zone: name('example.net'), now: 1_700_000_000 })
  assert.equal(signer.size, 10)
})

const validator = '/usr/bin/delv'
test('delv believes every answer, and every denial', { skip: existsSync(validator) ? false : 'there is no delv here' }, async () => {
  const base = makeKey('example.org', 257)
  writeFileSync(join(folder, 'db'), '$TTL 60\n$ORIGIN example.org.\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ MX 5 Mail\nns A 192.0.2.1\nmail A 192.0.2.2\nmail A 192.0.2.3\nwww CNAME Mail\ngone CNAME nowhere\n*.wild TXT "x y"\n_s._tcp SRV 1 2 3 Mail\nb.deep A 192.0.2.4\n')
  const { server, port } = await testServer(`example.org {\n bind 127.0.0.1\n dnssec {\n key file ${base}\n }\n file ${folder}/db\n}`)
  toClose.push(() => server.stop())
  const point = parseRecord(readFileSync(`${base}.key`, 'utf8').split('\n')[1]!)!.data
  const anchor = join(folder, 'anchor')
  writeFileSync(anchor, `trust-anchors { example.org. static-key 257 3 13 "${point.subarray(4).toString('base64')}"; };\n`)
  for (const [owner, type, expected] of [
    ['example.org', 'SOA', 'fully validated'], ['example.org', 'MX', 'fully validated'], ['example.org', 'DNSKEY', 'fully validated'], ['mail.example.org', 'A', 'fully validated'], ['www.example.org', 'A', 'fully validated'],
    ['any.wild.example.org', 'TXT', 'fully validated'], ['_s._tcp.example.org', 'SRV', 'fully validated'],
    ['nope.example.org', 'A', 'negative response, fully validated'], ['mail.example.org', 'TXT', 'negative response, fully validated'], ['example.org', 'TXT', 'negative response, fully validated'], ['deep.example.org', 'A', 'negative response, fully validated'], ['gone.example.org', 'A', 'fully validated'],
  ] as const) {
    const { stdout, stderr } = await run(validator, ['@127.0.0.1', '-p', String(port), '-a', anchor, '+root=example.org', owner, type], { timeout: 8000 }).catch((error: { stdout: string; stderr: string }) => error)
    assert.match(stdout, new RegExp(`^; ${expected}`, 'm'), `${owner} ${type}\n${stdout}${stderr}`)
  }
})

for (const [text, message] of [['dnssec', /needs a key/], ['dnssec {\n key secret x\n}', /^Corefile:3 .*not supported/], ['dnssec {\n key file\n}', /needs names/], ['dnssec {\n keys file x\n}', /unknown property 'keys'/], ['dnssec {\n cache_capacity 0\n}', /whole number/]] as const) {
  test(`refused: ${text.replaceAll('\n', ' ')}`, () => assert.throws(() => optionsOf(plugin, text), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
}
test('keys that cannot be used', async () => {
  await assert.rejects(chain(lines(`${folder}/none`), {}), /^CorefileError: Corefile:3 .*cannot read the key/)
  assert.throws(() => readKey(publicText.replace(' 13 (', ' 8 ('), privateText), /algorithm 8 is not supported/)
  assert.throws(() => readKey('nothing', privateText), /no DNSKEY/)
})
