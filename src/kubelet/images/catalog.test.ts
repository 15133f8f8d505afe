import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry, Machine } from './builtin/layer.ts'
import { builtins, configOf, findBuiltin, standIn } from './catalog.ts'
import { parseReference } from './reference.ts'

const machine: Machine = { distribution: 'Debian', nginx: '1.22.1', busybox: { version: '1.35.0', applets: ['busybox', 'sh', 'ls', 'ip'] }, sbin: ['ip'], links: [['bin', 'usr/bin']], alternatives: [['nc', '/bin/nc.openbsd']], manyUsers: true }
const bare: Machine = { ...machine, nginx: undefined, busybox: undefined, sbin: [] }

const answers: Record<string, string> = {
  'nginx': 'nginx exists', 'nginx:1.14.2': 'nginx exists', 'nginx:1.17.2': 'nginx exists', 'nginx:1.7.9': 'nginx exists', 'nginx:1': 'nginx exists', 'nginx:1.25-alpine': 'nginx exists',
  'nginx:1.25.3-alpine3.18-perl': 'nginx exists', 'nginx:stable-alpine': 'nginx exists', 'nginx:alpine': 'nginx exists', 'nginx:mainline': 'nginx exists', 'nginx:perl': 'nginx exists',
  'nginx:11.14.2': 'nginx never', 'nginx:99': 'nginx never', 'nginx:1.14.3': 'nginx never', 'nginx:1.7.4': 'nginx never', 'nginx:1.14.2-windows': 'nginx never', 'nginx:newest': 'nginx never', 'nginx:2': 'nginx never',
  'nginx:1.31.2': 'nginx unknown', 'nginx:1.33': 'nginx unknown', 'nginx:1.29.12': 'nginx unknown', 'nginx:1.99.0': 'nginx never', 'nginx:1.14.2.1': 'nginx never',
  'public.ecr.aws/docker/library/nginx:1.25': 'nginx exists', 'registry.k8s.io/nginx-slim:0.24': 'nginx exists', 'registry.k8s.io/e2e-test-images/nginx:1.15-4': 'nginx exists', 'gcr.io/google_containers/nginx:1.7.9': 'nginx exists',
  'tomcat:8.5-jre10-slim': 'tomcat exists', 'tomcat:9.0.65-jdk17-temurin-jammy': 'tomcat exists', 'tomcat:latest': 'tomcat exists', 'tomcat:jre8-alpine': 'tomcat exists', 'tomcat:5': 'tomcat never', 'tomcat:8.6': 'tomcat never', 'tomcat:12.0': 'tomcat never',
  'busybox:1.28': 'busybox exists', 'busybox:1.36.1-glibc': 'busybox exists', 'busybox:musl': 'busybox exists', 'busybox:1.28.9': 'busybox never', 'k8s.gcr.io/busybox': 'busybox exists',
  'alpine:3.18': 'alpine exists', 'alpine:3': 'alpine exists', 'alpine:2.6': 'alpine exists', 'alpine:edge': 'alpine exists', 'alpine:20240807': 'alpine exists', 'alpine:3.99': 'alpine never', 'alpine:3.18-slim': 'alpine never',
  'k8s.gcr.io/pause:3.1': 'pause exists', 'registry.k8s.io/pause:3.10': 'pause exists', 'registry.k8s.io/pause:3.10.1': 'pause exists', 'k8s.gcr.io/pause-amd64:3.1': 'pause exists', 'registry.aliyuncs.com/google_containers/pause:3.9': 'pause exists', 'registry.k8s.io/pause:3.4': 'pause never',
  'k8s.gcr.io/serve_hostname': 'serve_hostname exists', 'gcr.io/google_containers/serve_hostname:v1.4': 'serve_hostname exists', 'gcr.io/kubernetes-e2e-test-images/serve-hostname:1.1': 'serve_hostname exists',
  'registry.k8s.io/e2e-test-images/agnhost:2.40': 'agnhost exists', 'k8s.gcr.io/e2e-test-images/agnhost:2.9': 'agnhost exists', 'registry.k8s.io/e2e-test-images/agnhost:2': 'agnhost never', 'registry.k8s.io/agnhost:2.40': 'nothing',
  'registry.k8s.io/kube-proxy:v1.36.0': 'kube-proxy exists', 'registry.cn-hangzhou.aliyuncs.com/google_containers/kube-proxy:v1.20.4': 'kube-proxy exists', 'k8s.gcr.io/kube-proxy-amd64:v1.15.3': 'kube-proxy exists', 'registry.k8s.io/kube-proxy:v1.36.99': 'kube-proxy never',
  'mysql': 'nothing', 'example.com/nginx': 'nothing', 'docker.io/someone/nginx': 'nothing', [`nginx@sha256:${'a'.repeat(64)}`]: 'nothing', [`nginx:1.14.2@sha256:${'a'.repeat(64)}`]: 'nginx exists',
}
for (const [name, expected] of Object.entries(answers)) {
  test(`${name.slice(0, 70)}: ${expected}`, () => {
    const found = findBuiltin(parseReference(name))
    assert.equal(found ? `${found.builtin.name} ${found.known}` : 'nothing', expected)
  })
}

test('the event says what stands in', () => {
  const say = (name: string, on: Machine) => { const reference = parseReference(name); return standIn(findBuiltin(reference)!.builtin, on, reference) }
  assert.equal(say('nginx:1.17.2', machine), "Debian's nginx 1.22.1 stands in for nginx:1.17.2")
  assert.equal(say('nginx:1.17.2', bare), "Fairway's built-in web server stands in for nginx:1.17.2")
  assert.equal(say('busybox:1.28', machine), "Debian's BusyBox 1.35.0 stands in for busybox:1.28")
  assert.equal(say('busybox', bare), "Debian's own programs stand in for busybox:latest")
})

const entriesOf = (name: string, on: Machine): readonly Entry[] => { const reference = parseReference(name); return findBuiltin(reference)!.builtin.layer(on, reference) }

for (const builtin of builtins) {
  for (const on of [machine, bare]) {
    test(`${builtin.name}${on === bare ? ' on a bare machine' : ''} is whole: no path twice, and its command is in it or the machine's`, () => {
      const entries = entriesOf(builtin.shown, on)
      const paths = entries.map(entry => entry.path)
      assert.deepEqual(paths.filter((path, i) => paths.indexOf(path) !== i), [])
      assert.ok(paths.every(path => path.startsWith('/') && !path.includes('..')))
      const { entrypoint, cmd } = configOf(builtin, on, parseReference(builtin.shown))
      const [program] = [...entrypoint, ...cmd]
      assert.ok(program && (paths.includes(program) || ['sh', '/bin/sh', 'catalina.sh'].includes(program)), `${program} is in the layer`)
    })
  }
}

test('a stand-in for nginx takes the place of its program, and only where there is none', () => {
  assert.ok(entriesOf('nginx', bare).some(entry => entry.path === '/usr/sbin/nginx'))
  assert.ok(!entriesOf('nginx', machine).some(entry => entry.path === '/usr/sbin/nginx'))
})

test('in a user namespace of one user nginx does not change users', () => {
  const conf = (on: Machine) => entriesOf('nginx', on).find(entry => entry.path === '/etc/nginx/nginx.conf')!
  assert.match((conf(machine) as { text: string }).text, /^user {2}nginx;/)
  assert.match((conf({ ...machine, manyUsers: false }) as { text: string }).text, /^user {2}root;/)
})
