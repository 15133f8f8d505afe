import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { silent } from '#lib/log.ts'
import { startEgress } from './egress.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-egress-'))
const socketPath = join(folder, 'egress.sock')
const egress = startEgress(socketPath, silent)
after(() => { egress.close(); rmSync(folder, { recursive: true }) })

const connect = (target: string) => new Promise<{ status: number; socket: Socket }>((resolve, reject) => {
  const asked = request({ socketPath, method: 'CONNECT', path: target })
  asked.on('connect', (response, socket) => resolve({ status: response.statusCode!, socket: socket as Socket }))
  asked.on('error', reject)
  asked.end()
})

test('bytes go both ways to the address that was asked for', async () => {
  const echo = createTcpServer(socket => { socket.pipe(socket) })
  await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve))
  const { status, socket } = await connect(`127.0.0.1:${(echo.address() as AddressInfo).port}`)
  assert.equal(status, 200)
  socket.end('hello')
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  assert.equal(text, 'hello')
  echo.close()
})

test('what nobody listens on is 502, what is no address 400, and anything but CONNECT 405', async () => {
  const closed = createServer()
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise(resolve => closed.close(resolve))
  const refused = await connect(`127.0.0.1:${port}`)
  assert.equal(refused.status, 502)
  refused.socket.destroy()
  const odd = await connect('nonsense')
  assert.equal(odd.status, 400)
  odd.socket.destroy()
  const status = await new Promise(resolve => request({ socketPath, path: '/' }, response => { response.resume(); resolve(response.statusCode) }).end())
  assert.equal(status, 405)
})
