// template: CoreDNS's own examples, the language, and what is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { records, type Records } from '../../plugin.ts'
import { ask, chainOf, optionsOf, show, testEnv } from '../../testing.ts'
import { address } from '../../wire/rdata.ts'
import { compileTemplate } from './language.ts'
import { plugin } from './plugin.ts'

const run = async (lines: string, text: string, type = 'A') => {
  const env = testEnv({ lookup: query => records({ answer: [address(query.asked, 5, '192.0.2.9')] }) })
  const query = ask(text, type, { origin: { address: '192.0.2.7' } })
  return show(await chainOf(plugin, lines, { env, next: () => records({ rcode: 5 }) }).serve(query), query)
}
const ips = 'template IN A example {\n match "^ip-(?P<a>10)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]dc[.]example[.]$"\n match "^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.](?P<c>[0-9]*)[.](?P<d>[0-9]*)[.]ext[.]example[.]$"\n answer "{{ .Name }} 60 IN A {{ .Group.a}}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"\n fallthrough\n}'

const cases: Record<string, [lines: string, text: string, type: string, expected: string]> = {
  'everything is NXDOMAIN': ['template ANY ANY {\n rcode NXDOMAIN\n}', 'a.org', 'MX', 'NXDOMAIN'],
  'groups': [ips, 'IP-10-1-2-3.dc.Example', 'A', 'NOERROR\n;answer\nIP-10-1-2-3.dc.Example.\t60\tIN\tA\t10.1.2.3'],
  'the second expression': [ips, '1.2.3.4.ext.example', 'A', 'NOERROR\n;answer\n1.2.3.4.ext.example.\t60\tIN\tA\t1.2.3.4'],
  'no match falls through': [ips, 'x.example', 'A', 'REFUSED'],
  'another type': [ips, '1.2.3.4.ext.example', 'AAAA', 'REFUSED'],
  'another zone': [ips, '1.2.3.4.ext.org', 'A', 'REFUSED'],
  'no match without fallthrough': ['template IN A example {\n match ^x\n}', 'y.example', 'A', 'SERVFAIL'],
  'fallthrough for a zone': ['template IN A example org {\n match ^x\n fallthrough org\n}', 'y.org', 'A', 'REFUSED'],
  'not for another': ['template IN A example org {\n match ^x\n fallthrough org\n}', 'y.example', 'A', 'SERVFAIL'],
  'hexadecimal': ['template IN A example {\n match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"\n answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}"\n}', 'ip0a7b7bff.example', 'A', 'NOERROR\n;answer\nip0a7b7bff.example.\t60\tIN\tA\t10.123.123.255'],
  'three sections': ['template IN MX example {\n answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"\n authority "example. 60 IN NS ns0.example."\n additional "ns0.example. 60 IN A 203.0.113.8"\n}', 'a.example', 'MX', 'NOERROR\n;answer\na.example.\t60\tIN\tMX\t10 a.example.\n;authority\nexample.\t60\tIN\tNS\tns0.example.\n;additional\nns0.example.\t60\tIN\tA\t203.0.113.8'],
  'SOA in parentheses': ['template IN ANY example.com {\n match "example\\.com\\.(dc1\\.example\\.com\\.)$"\n rcode NXDOMAIN\n authority "{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} h.{{ index .Match 1 }} (1 60 60 60 60)"\n}', 'x.example.com.dc1.example.com', 'A', 'NXDOMAIN\n;authority\ndc1.example.com.\t60\tIN\tSOA\tns.dc1.example.com. h.dc1.example.com. 1 60 60 60 60'],
  'a CNAME and its target': ['template IN ANY foogle.com {\n match "^foogle\\.com\\.$"\n answer "foogle.com 60 IN CNAME google.com"\n}', 'foogle.com', 'A', 'NOERROR\n;answer\nfoogle.com.\t60\tIN\tCNAME\tgoogle.com.\ngoogle.com.\t5\tIN\tA\t192.0.2.9'],
  'the first of several': ['template IN A a.org {\n answer "{{ .Name }} 1 IN A 192.0.2.1"\n}\ntemplate IN A org {\n answer "{{ .Name }} 1 IN A {{ .Remote }}"\n}', 'b.org', 'A', 'NOERROR\n;answer\nb.org.\t1\tIN\tA\t192.0.2.7'],
  'no record': ['template IN A org {\n answer "{{ .Name }} IN A nope"\n}', 'b.org', 'A', 'SERVFAIL'],
  'an index out of range': ['template IN A org {\n answer "{{ index .Match 3 }} IN A 192.0.2.1"\n}', 'b.org', 'A', 'SERVFAIL'],
}
for (const [what, [lines, text, type, expected]] of Object.entries(cases)) test(`template: ${what}`, async () => assert.equal(await run(lines, text, type), expected))

test('an extended error', async () => {
  const { serve } = chainOf(plugin, 'template IN A {\n rcode REFUSED\n ederror 21 "Not here"\n}')
  assert.deepEqual((await serve(ask('a.org')) as Records).options, [{ code: 15, data: Buffer.from('\0\x15Not here') }])
})
test('the language', () => {
  const data = { Name: 'a.b.', Match: ['a', 'b'], Group: { x: '12' }, Meta: (label: string) => `<${label}>`, N: 7 }
  for (const [source, expected] of [
    ['x{{.Name}}y', 'xa.b.y'], ['x {{- .Name -}} y', 'xa.b.y'], ['{{index .Match 1}}', 'b'], ['{{.Group.x}}{{.Group.none}}', '12'], ['{{.Meta "k/v"}}', '<k/v>'],
    ['{{printf "%03d-%s-%x" .N .Group.x 255}}', '007-12-ff'], ['{{.N | printf "%02d"}}', '07'], ['{{if eq .Group.x "12"}}yes{{else}}no{{end}}', 'yes'],
    ['{{if gt .N 9}}a{{else if gt .N 5}}b{{else}}c{{end}}', 'b'], ['{{/* nothing */}}z', 'z'], ['{{print (parseInt "ff" 16 8) "!"}}', '255!'], ['{{len .Match}}{{not true}}', '2false'], ['{{"a\\"}}b"}}', 'a"}}b'],
  ] as const) assert.equal(compileTemplate(source)(data), expected, source)
})

const wrong: Record<string, [string, RegExp]> = {
  'nothing': ['template IN', /^Corefile:2 .*needs a class and a type/], 'a class': ['template XX A', /invalid RR class XX/], 'a type': ['template IN XX', /invalid RR type XX/],
  'an expression': ['template IN A {\n match "("\n}', /^Corefile:3 .*invalid regex/], 'an option': ['template IN A {\n anwser x\n}', /unknown property 'anwser'/],
  'a loop': ['template IN A {\n answer "{{ range .Match }}x{{ end }}"\n}', /^Corefile:3 .*\{\{range\}\} is not supported/], 'a function': ['template IN A {\n answer "{{ nope 1 }}"\n}', /'nope' is not defined/],
  'an open action': ['template IN A {\n answer "{{ .Name "\n}', /not closed/], 'an open if': ['template IN A {\n answer "{{ if .Name }}x"\n}', /\{\{end\}\} is missing/], 'an rcode': ['template IN A {\n rcode NOPE\n}', /invalid RR code NOPE/],
}
for (const [what, [lines, message]] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
