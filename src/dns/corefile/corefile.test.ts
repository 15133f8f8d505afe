import assert from 'node:assert/strict'
import { test } from 'node:test'
import { showName } from '../wire/name.ts'
import { CorefileError, duration, integer } from './errors.ts'
import { parseCorefile } from './parse.ts'
import type { Directive, Token } from './syntax.ts'
import { parseKey, parseZones } from './zones.ts'

const files: Record<string, string> = { '/c/a.conf': 'errors\nlog', '/c/b.conf': 'cache 30', '/c/server.conf': 'b.org {\n whoami\n}', '/c/self.conf': 'import /c/self.conf' }
const read = (text: string) => parseCorefile(text, {
  file: 'Corefile', env: name => ({ UP: '10.0.0.1', TWO: 'a b' })[name],
  files: pattern => Object.entries(files).filter(([file]) => pattern.endsWith('*') ? file.startsWith(pattern.slice(0, -1)) : file === pattern).map(([file, text]) => ({ file, text })),
})
const short = ({ word, args, block }: Directive): unknown => [word.text, ...args.map(({ text }) => text), ...(block ? [block.map(short)] : [])]
const shown = (text: string) => read(text).map(({ keys, directives }) => [keys.map(({ text }) => text).join(' '), ...directives.map(short)])
const token = (text: string): Token => ({ text, file: 'Corefile', line: 3, quoted: false })

const cases: Record<string, [string, unknown]> = {
  'a block': ['.:53 {\n  errors\n  cache 30\n}\n', [['.:53', ['errors'], ['cache', '30']]]],
  'options': ['. {\n  health {\n    lameduck 5s\n  }\n}', [['.', ['health', [['lameduck', '5s']]]]]],
  'options on one line': ['. {\n  cache { disable success }\n}', [['.', ['cache', [['disable', 'success']]]]]],
  'an empty block': ['. {\n}', [['.']]],
  'nested options': ['. {\n a {\n b {\n c\n }\n }\n}', [['.', ['a', [['b', [['c']]]]]]]],
  'several zones and blocks': ['a.org, b.org c.org:1053,\n d.org {\n errors\n}\ntls://. {\n log\n}', [['a.org b.org c.org:1053 d.org', ['errors']], ['tls://.', ['log']]]],
  'a file without braces': ['example.org\nerrors\nlog . "{remote}"\n', [['example.org', ['errors'], ['log', '.', '{remote}']]]],
  'comments and blanks': ['# first\n\n. { # here\n  errors # and here\n#log\n}\n', [['.', ['errors']]]],
  'quotes': ['. {\n  template IN A {\n    answer "{{ .Name }} 60 IN A \\"x\\" \\d # { }"\n  }\n}', [['.', ['template', 'IN', 'A', [['answer', '{{ .Name }} 60 IN A "x" \\d # { }']]]]]],
  'a quote over lines': ['. {\n  log "a\nb" c\n  errors\n}', [['.', ['log', 'a\nb', 'c'], ['errors']]]],
  'environment': ['. {\n  forward . {$UP} {%UP%}:53 {$NONE}x "{$TWO}"\n}', [['.', ['forward', '.', '10.0.0.1', '10.0.0.1:53', 'x', 'a b']]]],
  'snippets': ['(all) {\n  errors\n  health {\n    lameduck 1s\n  }\n}\n. {\n  import all\n  log\n}', [['.', ['errors'], ['health', [['lameduck', '1s']]], ['log']]]],
  'snippets in snippets': ['(a) {\n  errors\n}\n(b) {\n  import a\n}\n. {\n  import b\n}', [['.', ['errors']]]],
  'files': ['. {\n  import /c/a.conf\n  import /c/b*\n}\nimport /c/server.conf', [['.', ['errors'], ['log'], ['cache', '30']], ['b.org', ['whoami']]]],
  'a pattern without files': ['. {\n  import /none/*\n  errors\n}', [['.', ['errors']]]],
  'CRLF': ['. {\r\n  errors\r\n}\r\n', [['.', ['errors']]]],
  'nothing': ['', []],
}
for (const [what, [text, expected]] of Object.entries(cases)) test(`Corefile: ${what}`, () => assert.deepEqual(shown(text), expected))

const wrong: Record<string, [string, RegExp]> = {
  'unclosed block': ['. {\n errors\n', /^Corefile:2 - Error during parsing: .*'}' is missing/],
  'unclosed quote': ['. {\n log "x\n}', /^Corefile:2 .*quote is never closed/],
  'stray brace': ['. {\n}\n}', /^Corefile:3 .*unexpected '}'/],
  'brace without a name': ['. {\n {\n }\n}', /^Corefile:2 .*unexpected '{'/],
  'no zones': ['{\n errors\n}', /^Corefile:1 .*must begin with its zones/],
  'missing import': ['. {\n import nope\n}', /^Corefile:2 .*no snippet and no file 'nope'/],
  'import without a name': ['. {\n import\n}', /^Corefile:2 .*needs the name/],
  'endless import': ['. {\n import /c/self.conf\n}', /too many imports/],
  'endless snippet': ['(a) {\n import a\n}\n. {\n import a\n}', /too many imports/],
  'doubling snippets': [Array.from({ length: 30 }, (_, i) => `(s${i}) {\n${i ? ` import s${i - 1}\n import s${i - 1}\n` : ' errors\n'}}\n`).join('') + '. {\n import s29\n}', /too m/],
  'a snippet twice': ['(a) {\n}\n(a) {\n}', /^Corefile:3 .*defined twice/],
  'deep nesting': [`. {\n${'a {\n'.repeat(50)}`, /nested too deep/],
  'words behind a block': ['. {\n errors {\n } log\n}', /^Corefile:3 .*unexpected 'log'/],
  'a comma too many': ['a.org, {\n}', /zone is missing/],
}
for (const [what, [text, message]] of Object.entries(wrong)) {
  test(`Corefile refused: ${what}`, () => assert.throws(() => read(text), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
}

test('zones and keys', () => {
  for (const [text, zones] of [['Example.ORG', ['example.org.']], ['.', ['.']], ['10.0.0.0/8', ['10.in-addr.arpa.']], ['10.96.0.0/12', Array.from({ length: 16 }, (_, i) => `${96 + i}.10.in-addr.arpa.`)], ['fd00::/64', ['0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.']]] as const) {
    assert.deepEqual(parseZones(text)?.map(showName), zones, text)
  }
  for (const [text, transport, zone, port] of [['.', 'dns', '.', 53], ['.:1053', 'dns', '.', 1053], [':5353', 'dns', '.', 5353], ['tls://a.org', 'tls', 'a.org.', 853], ['https://.:8443', 'https', '.', 8443], ['dns://a.org:1', 'dns', 'a.org.', 1]] as const) {
    const key = parseKey(token(text))
    assert.deepEqual([key.transport, ...key.zones.map(showName), key.port], [transport, zone, port], text)
  }
  assert.equal(parseKey(token('.'), 1053).port, 1053)
  for (const text of ['quic://.', 'a..b', '.:70000', '10.0.0.0/33']) assert.throws(() => parseKey(token(text)), /^.*Corefile:3/)
})

test('durations and numbers', () => {
  for (const [text, ms] of [['5s', 5000], ['1m30s', 90_000], ['500ms', 500], ['0', 0], ['1.5h', 5_400_000], ['100us', 0.1]] as const) assert.equal(duration(token(text)), ms)
  for (const text of ['5', 's', '-1s', '5 s', '']) assert.throws(() => duration(token(text)), CorefileError)
  assert.equal(integer(token('30'), { max: 3600 }), 30)
  for (const text of ['x', '1.5', '3601', '-1']) assert.throws(() => integer(token(text), { max: 3600 }), CorefileError)
})

test('random Corefiles: parsed or refused with a place, never worse', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const random = (below: number) => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return (state >>> 0) % below }
  const pieces = ['.', '{', '}', '\n', ' ', '"', '\\', '#', 'import ', 'errors', '(a)', ',', '{$UP}', 'a', '/c/a.conf', '\r', '\0', 'é']
  for (let n = 0; n < 3000; n++) {
    const text = Array.from({ length: random(40) }, () => pieces[random(pieces.length)]).join('')
    try { read(text) } catch (error) { assert.ok(error instanceof CorefileError, `seed ${seed}: ${JSON.stringify(text)}: ${(error as Error).stack}`) }
  }
})
