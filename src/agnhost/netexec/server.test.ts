import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { hostname } from 'node:os'
import { after, test } from 'node:test'
import { defaults, start } from './server.ts'

const silence = process.stderr.write
process.stderr.write = (() => true) as typeof process.stderr.write
after(() => { process.stderr.write = silence })

const begin = (argv: string[] = []) => start(defaults(['--http-port=0', '--udp-port=0', ...argv]))
const get = async (port: number, path: string) => { const response = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual' }); return { status: response.status, type: response.headers.get('content-type'), body: await response.text() } }

test('netexec answers, dials itself over both protocols, runs commands and exits when told', async () => {
  const server = await begin()
  const { httpPort: port, udpPorts: [udp] } = server
  assert.deepEqual(await get(port, '/hostname'), { status: 200, type: 'text/plain; charset=utf-8', body: hostname() })
  assert.match((await get(port, '/')).body, /^NOW: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC m=\+/)
  assert.match((await get(port, '/clientip')).body, /^127\.0\.0\.1:\d+$/)
  assert.deepEqual(JSON.parse((await get(port, `/dial?host=127.0.0.1&port=${port}&request=echo?msg=hi&tries=2`)).body), { responses: ['hi', 'hi'] })
  assert.deepEqual(JSON.parse((await get(port, `/dial?host=127.0.0.1&port=${port}&request=redirect?location=/hostname`)).body), { responses: [hostname()] })
  assert.deepEqual(JSON.parse((await get(port, `/dial?host=127.0.0.1&port=${udp}&request=hostname&protocol=udp`)).body), { responses: [hostname()] })
  assert.deepEqual(JSON.parse((await get(port, '/shell?cmd=echo%20out;echo%20err>%262;exit%203')).body), { error: 'exit status 3', output: 'out\nerr\n' })
  const form = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body: new URLSearchParams({ msg: 'posted' }) })
  assert.equal(await form.text(), 'posted')
  await get(port, '/exit?code=7&timeout=1s')
  assert.equal(await server.exited, 7)
  await assert.rejects(get(port, '/'))
})

test('dialling a closed port gives Go\'s words', async () => {
  const server = await begin(['--udp-port=-1'])
  const probe = createSocket('udp4')
  await new Promise<void>(resolve => probe.bind(0, '127.0.0.1', resolve))
  const closed = probe.address().port
  await new Promise<void>(resolve => probe.close(() => resolve()))
  assert.deepEqual(JSON.parse((await get(server.httpPort, `/dial?host=127.0.0.1&port=${closed}&request=x`)).body),
    { errors: [`Get "http://127.0.0.1:${closed}/x": dial tcp 127.0.0.1:${closed}: connect: connection refused`] })
  assert.match((await get(server.httpPort, `/dial?host=127.0.0.1&port=${closed}&request=x&protocol=udp`)).body, /read: connection refused/)
  assert.equal((await get(server.httpPort, '/dial?host=127.0.0.1&port=x&request=x')).status, 400)
  await server.terminate(0)
  assert.equal(await server.exited, 0)
})

test('--http-override answers every path alike', async () => {
  const server = await begin(['--http-override=/echo?msg=same&code=418'])
  assert.deepEqual(await get(server.httpPort, '/hostname'), { status: 418, type: 'text/plain; charset=utf-8', body: 'same' })
  await server.terminate(0)
})

test('SCTP is refused by name', () => assert.rejects(begin(['--sctp-port=1']), /no SCTP/))
