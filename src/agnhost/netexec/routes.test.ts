import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Request } from '../http.ts'
import { dialAnswer, goTime, overridden, route, udpReply } from './routes.ts'

const state = { hostname: 'pod-1', ready: true, terminating: false }
const request = (url: string, more: Partial<Request> = {}): Request => {
  const [path, query = ''] = url.split(/\?(.*)/s)
  return { method: 'GET', path: path!, url, form: new URLSearchParams(query), headers: { host: 'x', 'x-forwarded-for': '1.2.3.4' }, remote: '10.0.0.9:1234', ...more }
}

const answers: [url: string, status: number, body: string][] = [
  ['/hostname', 200, 'pod-1'], ['/hostName', 200, 'pod-1'], ['/clientip', 200, '10.0.0.9:1234'],
  ['/echo?msg=hi%20there', 200, 'hi there'], ['/echo?msg=no&code=404', 404, 'no'],
  ['/echo?msg=x&code=y', 200, 'argument \'code\' must be an integer or empty, got "y"\n'],
  ['/header?key=X-Forwarded-For', 200, '1.2.3.4'], ['/header', 200, '{"X-Forwarded-For":["1.2.3.4"]}'],
  ['/redirect?location=/echo%3Fmsg=foobar&code=307', 307, '<a href="/echo?msg=foobar">Temporary Redirect</a>.\n\n'],
  ['/healthz', 200, ''], ['/readyz', 200, 'ok'], ['/upload', 501, "upload is not supported by Fairway's agnhost\n"],
  ['/exit?timeout=1', 200, 'argument \'timeout\' must be a valid golang duration or empty, got "1"\n'],
  ['/dial?host=a&port=1', 400, 'request parameter not specified. <nil>\n'],
  ['/dial?host=a&port=1&request=x&protocol=quic', 400, 'unsupported protocol. quic\n'],
  ['/dial?host=a&port=1&request=x&tries=two', 400, 'tries parameter is invalid. strconv.Atoi: parsing "two": invalid syntax\n'],
]
for (const [url, status, body] of answers) {
  test(`GET ${url}`, () => {
    const action = route(request(url), state)
    assert.equal(action.kind, 'respond')
    assert.deepEqual(action.kind === 'respond' && [action.response.status, action.response.body], [status, body])
  })
}

const effects: [url: string, action: object][] = [
  ['/', { kind: 'now', log: 'GET /' }], ['/anything/else', { kind: 'now', log: 'GET /' }], ['/toString', { kind: 'now', log: 'GET /' }],
  ['/echo?code=99', { kind: 'abort', log: 'GET /echo?msg=&code=99' }],
  ['/shell?cmd=id', { kind: 'shell', log: 'GET /shell?cmd=id', command: 'id' }],
  ['/exit?code=3&wait=10ms&timeout=1s', { kind: 'exit', log: 'GET /exit?code=3&timeout=1s&wait=10ms', code: 3, waitMs: 10, timeoutMs: 1000 }],
  ['/dial?host=10.0.0.1&port=80&request=hostname&protocol=UDP&tries=3', { kind: 'dial', log: 'GET /dial?host=10.0.0.1&protocol=UDP&port=80&request=hostname&tries=3',
    dial: { protocol: 'udp', host: '10.0.0.1', port: '80', request: 'hostname', tries: 3 } }],
]
for (const [url, action] of effects) test(`GET ${url} is ${JSON.stringify(action)}`, () => assert.deepEqual(route(request(url), state), action))

test('readyz turns 503 and healthz 412', () => {
  const status = (url: string, change: object) => { const action = route(request(url), { ...state, ...change }); return action.kind === 'respond' && action.response.status }
  assert.equal(status('/readyz', { terminating: true }), 503)
  assert.equal(status('/readyz', { ready: false }), 412)
  assert.equal(status('/healthz', { ready: false }), 412)
  assert.equal(status('/healthz', { terminating: true }), 200)
})

test('an override replaces path and query', () => {
  const action = route(overridden(request('/hostname'), '/echo?msg=fixed'), state)
  assert.equal(action.kind === 'respond' && action.response.body, 'fixed')
})

test('dial answers with what came, in the order of keys of Go\'s maps', () => {
  assert.equal(dialAnswer([{ error: 'a<b' }, { response: 'x' }]).body, '{"errors":["a\\u003cb"],"responses":["x"]}')
  assert.equal(dialAnswer([{ response: 'x' }, { error: 'e' }]).body, '{"errors":["e"]}')
  assert.equal(dialAnswer([]).body, '{}')
})

test('the UDP commands', () => {
  assert.deepEqual([' HostName\n', 'echo Hi you', 'clientip', '', 'what'].map(data => udpReply(data, '1.2.3.4:5', 'pod-1').reply), ['pod-1', 'hi you', '1.2.3.4:5', undefined, undefined])
})

test('time as Go prints it', () => assert.equal(goTime(1_763_700_000_120, 1500), '2025-11-21 04:40:00.12 +0000 UTC m=+1.500000000'))
