import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '#lib/errors.ts'
import { inClusterConfig, parseKubeconfig, readKubeconfig } from './kubeconfig.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-kubeconfig-'))
after(() => rmSync(folder, { recursive: true }))

const config = (cluster: string, user: string, more = '') => `
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u${more}}}]
clusters: [{name: k, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
`
const server = '{server: "https://h:6443"}'

test('inline data, files beside the kubeconfig, the namespace', () => {
  writeFileSync(join(folder, 'ca.crt'), 'CA')
  const read = parseKubeconfig(config('{server: "https://h:6443", certificate-authority: ca.crt, tls-server-name: k}',
    `{client-certificate-data: ${btoa('CERT')}, client-key-data: ${btoa('KEY')}}`, ', namespace: dev'), join(folder, 'config'))
  assert.deepEqual({ ...read, ca: String(read.ca), cert: String(read.cert), key: String(read.key) },
    { server: 'https://h:6443', namespace: 'dev', ca: 'CA', cert: 'CERT', key: 'KEY', tlsServerName: 'k' })
})

test('a token file is read again when it changes', async () => {
  const file = join(folder, 'token')
  writeFileSync(file, 'one\n')
  const { token } = parseKubeconfig(config(server, '{tokenFile: token, token: not-this}'), join(folder, 'config'))
  assert.ok(typeof token === 'function')
  assert.equal(await token(), 'one')
  writeFileSync(file, 'two\n')
  utimesSync(file, new Date(), new Date(Date.now() + 5000))
  assert.equal(await token(), 'two')
})

const bad: [what: string, text: string, message: RegExp][] = [
  ['no YAML', 'a: [', /^f:\d+:\d+: /],
  ['no mapping', '- a', /^f: this is no kubeconfig/],
  ['no current context', 'kind: Config', /^f: current-context is not set/],
  ['an unknown context', 'current-context: x\ncontexts: [{name: a, context: {}}, {name: b, context: {}}]', /^f: no context named "x": there are a, b/],
  ['no server', config('{}', '{}'), /^f: the cluster "k" has no server/],
  ['a server that is no URL', config('{server: "h 6443"}', '{}'), /^f: the cluster's server is no URL/],
  ['a missing file', config(server, '{client-certificate: nowhere.crt}'), /^f: cannot read client-certificate: ENOENT/],
  ['an exec plugin', config(server, '{exec: {command: aws}}'), /^f: exec is not supported/],
  ['a proxy', config('{server: "https://h", proxy-url: "http://p"}', '{}'), /^f: proxy-url is not supported/],
]
for (const [what, text, message] of bad) test(`refused: ${what}`, () => {
  assert.throws(() => parseKubeconfig(text, 'f'), (error: Error) => error instanceof UserError && message.test(error.message))
})

test('a kubeconfig that is not there is named', () => {
  assert.throws(() => readKubeconfig('/nowhere/config'), /cannot read the kubeconfig \/nowhere\/config/)
})

test('inside a cluster: the environment and the mounted account', async () => {
  for (const [name, text] of Object.entries({ token: 'T', 'ca.crt': 'CA', namespace: 'dev' })) writeFileSync(join(folder, name), text)
  const { server, namespace, ca, token } = inClusterConfig({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }, folder)
  assert.deepEqual([server, namespace, String(ca), await (token as () => string)()], ['https://10.96.0.1:443', 'dev', 'CA', 'T'])
  assert.equal(inClusterConfig({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, folder).server, 'https://[fd00::1]:443')
  assert.throws(() => inClusterConfig({}, folder), /not inside a cluster/)
})
