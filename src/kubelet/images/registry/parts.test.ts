// The pure parts of the registry client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goArchitecture, layoutNames, parseDocument, pickPlatform } from '../formats.ts'
import type { Descriptor } from '../formats.ts'
import { parseReference } from '../reference.ts'
import { parseChallenges, tokenRequest } from './challenge.ts'
import { helperAnswer, storedFor } from './docker-config.ts'
import { baseUrl, manifestUrl, redirect } from './url.ts'

const challenges: [header: string, expected: object[]][] = [
  ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
    [{ scheme: 'bearer', parameters: { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:library/nginx:pull' } }]],
  ['Basic realm="a \\"quoted\\" name"', [{ scheme: 'basic', parameters: { realm: 'a "quoted" name' } }]],
  ['Negotiate, Basic realm=x, Bearer  Realm = "y" , error="invalid_token"', [{ scheme: 'negotiate', parameters: {} }, { scheme: 'basic', parameters: { realm: 'x' } }, { scheme: 'bearer', parameters: { realm: 'y', error: 'invalid_token' } }]],
  ['', []], ['realm="x"', []], ['Bearer realm="unclosed', [{ scheme: 'bearer', parameters: {} }]], [`Bearer ${'"'.repeat(50_000)}`, [{ scheme: 'bearer', parameters: {} }]],
]
for (const [header, expected] of challenges) test(`challenge ${header.slice(0, 60)}`, () => assert.deepEqual(parseChallenges(header), expected))

const bearer = (realm: string, scope = 'repository:a/b:pull') => ({ scheme: 'bearer', parameters: { realm, service: 's x', scope } })
const ask = (challenge: ReturnType<typeof bearer>, auth = {}, registryUrl = 'https://r') => tokenRequest(challenge, { repository: 'a/b', auth, registryUrl })

test('a token is asked for', () => {
  assert.deepEqual(ask(bearer('https://t/token?x=1')), { url: 'https://t/token?x=1&service=s+x&scope=repository%3Aa%2Fb%3Apull', method: 'GET', headers: {} })
  assert.deepEqual(ask(bearer('https://t/', ''), { username: 'u', password: 'p:q' }), { url: 'https://t/?service=s+x&scope=repository%3Aa%2Fb%3Apull', method: 'GET', headers: { Authorization: 'Basic dTpwOnE=' } })
  assert.match(ask(bearer('https://t/'), { identityToken: 'it' })!.body!, /grant_type=refresh_token.*refresh_token=it/)
  assert.equal(ask(bearer('http://t/')), undefined, 'no password of an https registry goes over plain http')
  assert.equal(ask(bearer('file:///etc/passwd')), undefined)
  assert.equal(ask(bearer('not a url')), undefined)
})

test('where registries are', () => {
  assert.deepEqual(['docker.io', 'ghcr.io', 'localhost:5000', '127.0.0.1', '[::1]:5000', '127.example.com'].map(baseUrl),
    ['https://registry-1.docker.io', 'https://ghcr.io', 'http://localhost:5000', 'http://127.0.0.1', 'http://[::1]:5000', 'https://127.example.com'])
  assert.equal(manifestUrl(parseReference('nginx:1'), '1'), 'https://registry-1.docker.io/v2/library/nginx/manifests/1')
})

test('redirects', () => {
  assert.deepEqual(redirect('https://a/x', '/y'), { url: 'https://a/y', sameHost: true })
  assert.deepEqual(redirect('https://a/x', 'https://cdn/y?sig=1'), { url: 'https://cdn/y?sig=1', sameHost: false })
  assert.deepEqual(redirect('http://localhost:5000/x', 'http://localhost:5001/y'), { url: 'http://localhost:5001/y', sameHost: false })
  assert.equal(redirect('https://a/x', 'http://a/y'), undefined)
  assert.equal(redirect('https://a/x', 'file:///etc/passwd'), undefined)
  assert.equal(redirect('https://a/x', undefined), undefined)
})

test('the host\'s docker config', () => {
  const auth = Buffer.from('user:pa:ss').toString('base64')
  const config = JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth }, 'ghcr.io': { auth: '', identitytoken: 'tok' }, 'https://r.example.com:5000/v2/': { username: 'a', password: 'b' }, 'bad.io': { auth: 'bm9jb2xvbg==' } }, credHelpers: { 'gcr.io': 'gcloud', 'evil.io': '../../bin/sh' } })
  assert.deepEqual(storedFor(config, 'docker.io'), [{ kind: 'auth', auth: { username: 'user', password: 'pa:ss' } }])
  assert.deepEqual(storedFor(config, 'ghcr.io'), [{ kind: 'auth', auth: { identityToken: 'tok' } }])
  assert.deepEqual(storedFor(config, 'r.example.com:5000'), [{ kind: 'auth', auth: { username: 'a', password: 'b' } }])
  assert.deepEqual(storedFor(config, 'gcr.io'), [{ kind: 'helper', program: 'docker-credential-gcloud', server: 'gcr.io' }])
  assert.deepEqual(storedFor('{"credsStore":"pass"}', 'docker.io'), [{ kind: 'helper', program: 'docker-credential-pass', server: 'https://index.docker.io/v1/' }])
  for (const registry of ['evil.io', 'bad.io', 'other.io']) assert.deepEqual(storedFor(config, registry), [])
  for (const broken of ['', 'x', '[]', 'null', '{"auths":[1]}', '{"auths":{"docker.io":null}}']) assert.deepEqual(storedFor(broken, 'docker.io'), [])
  assert.deepEqual(helperAnswer('{"Username":"u","Secret":"s"}'), { username: 'u', password: 's' })
  assert.deepEqual(helperAnswer('{"Username":"<token>","Secret":"s"}'), { identityToken: 's' })
  assert.equal(helperAnswer('credentials not found'), undefined)
})

const on = (os: string, architecture: string, variant?: string): Descriptor => ({ mediaType: '', digest: `${os}/${architecture}/${variant}`, size: 1, annotations: {}, platform: { os, architecture, ...variant !== undefined && { variant } } })
test('the platform', () => {
  const pick = (list: Descriptor[], architecture = 'amd64') => pickPlatform(list, architecture)?.digest
  assert.equal(pick([on('windows', 'amd64'), on('linux', 'arm64'), on('linux', 'amd64')]), 'linux/amd64/undefined')
  assert.equal(pick([on('linux', 'amd64', 'v3'), on('linux', 'amd64')]), 'linux/amd64/undefined')
  assert.equal(pick([on('linux', 'arm64', 'v8')], 'arm64'), 'linux/arm64/v8')
  assert.equal(pick([on('unknown', 'unknown')]), undefined)
  assert.equal(pick([{ mediaType: '', digest: 'plain', size: 1, annotations: {} }]), 'plain')
  assert.equal(pick([{ mediaType: '', digest: 'attestation', size: 1, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }]), undefined)
  assert.equal(goArchitecture('x64'), 'amd64')
})

const digest = `sha256:${'a'.repeat(64)}`
const documents: [json: string, message: RegExp][] = [
  ['x', /is not JSON/], ['[]', /no image manifest/], ['{}', /no image manifest/], ['{"schemaVersion":1}', /schema 1/],
  ['{"config":{},"layers":[]}', /without a sha256 digest/], ['{"manifests":[{"digest":"sha256:../../x"}]}', /without a sha256 digest/],
  [JSON.stringify({ config: { digest }, layers: [{ digest, mediaType: 'application/vnd.cncf.helm.chart.content.v1' }] }), /no container image: it holds application\/vnd\.cncf/],
  [JSON.stringify({ config: { digest }, layers: Array.from({ length: 600 }, () => ({ digest })) }), /more than 512 layers/],
]
for (const [json, message] of documents) test(`manifest ${json.slice(0, 50)} is refused`, () => assert.throws(() => parseDocument(json, 'm'), message))

test('names in a layout', () => {
  assert.deepEqual(layoutNames({ 'org.opencontainers.image.ref.name': 'v1' }), [])
  assert.deepEqual(layoutNames({ 'org.opencontainers.image.ref.name': 'a/b:v1' }), ['a/b:v1'])
  assert.deepEqual(layoutNames({ 'io.containerd.image.name': 'x.io/a:b', 'org.opencontainers.image.ref.name': 'b' }), ['x.io/a:b'])
})
