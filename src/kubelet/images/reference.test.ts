import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonical, familiar, parseReference } from './reference.ts'

const hex = 'a'.repeat(64)
const good: [text: string, whole: string, short?: string][] = [
  ['nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
  ['nginx:1.17.2', 'docker.io/library/nginx:1.17.2', 'nginx:1.17.2'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest', 'nginx:latest'],
  ['index.docker.io/library/nginx:1', 'docker.io/library/nginx:1', 'nginx:1'],
  ['dyrnq/controller:v1.1.0', 'docker.io/dyrnq/controller:v1.1.0', 'dyrnq/controller:v1.1.0'],
  ['k8s.gcr.io/serve_hostname', 'k8s.gcr.io/serve_hostname:latest'],
  ['localhost/app', 'localhost/app:latest'],
  ['localhost:5000/a/b:x', 'localhost:5000/a/b:x'],
  ['[::1]:5000/a', '[::1]:5000/a:latest'],
  ['Registry/app', 'Registry/app:latest'],
  [`app@sha256:${hex}`, `docker.io/library/app@sha256:${hex}`, `app@sha256:${hex}`],
  [`app:1@sha256:${hex}`, `docker.io/library/app:1@sha256:${hex}`, `app:1@sha256:${hex}`],
  ['a__b/c-d.e:T.a_g-1', 'docker.io/a__b/c-d.e:T.a_g-1', 'a__b/c-d.e:T.a_g-1'],
]
for (const [text, whole, short = whole] of good) {
  test(`${text} is ${whole}`, () => assert.deepEqual([canonical(parseReference(text)), familiar(parseReference(text))], [whole, short]))
}

const bad: [text: string, message: string][] = [
  ['', 'invalid reference format'], ['nginx:', 'invalid reference format'], [':1', 'invalid reference format'], ['a b', 'invalid reference format'], ['nginx:-1', 'invalid reference format'],
  ['a//b', 'invalid reference format'], ['-a', 'invalid reference format'], ['a/', 'invalid reference format'], ['a..b', 'invalid reference format'], [`nginx:${'x'.repeat(129)}`, 'invalid reference format'],
  ['NGINX', 'invalid reference format: repository name (library/NGINX) must be lowercase'],
  ['docker.io/library/Nginx:1', 'invalid reference format: repository name (library/Nginx) must be lowercase'],
  [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
  [`a/${'b'.repeat(260)}`, 'repository name must not be more than 255 characters'],
  [`app@sha256:${'a'.repeat(40)}`, 'invalid checksum digest length'], [`app@sha256:${'A'.repeat(64)}`, 'invalid checksum digest format'], [`app@md5:${'a'.repeat(32)}`, 'unsupported digest algorithm'],
  ['a'.repeat(100_000), 'repository name must not be more than 255 characters'],
]
for (const [text, message] of bad) test(`${text.slice(0, 40)}: ${message.slice(0, 60)}`, () => assert.throws(() => parseReference(text), { message }))
