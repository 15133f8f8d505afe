// A process for tests in one network namespace: with `serve` it answers each message of each connection
// with its name, with `talk` it holds one connection and says what it is told by IPC. Sockets of the C
// library, as Node has none for SCTP; calls block, for which the process is there alone.
//   node server.ts serve|talk tcp|sctp ADDRESS PORT [NAME]
import ffi from 'node:ffi'

const { functions: libc } = ffi.dlopen('libc.so.6', {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  bind: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' },
  connect: { arguments: ['int32', 'pointer', 'uint32'], return: 'int32' },
  listen: { arguments: ['int32', 'int32'], return: 'int32' },
  accept: { arguments: ['int32', 'pointer', 'pointer'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
  send: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  recv: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  close: { arguments: ['int32'], return: 'int32' },
  __errno_location: { arguments: [], return: 'pointer' },
})
const protocols: Record<string, number> = { tcp: 6, sctp: 132 }

function checked(result: number | bigint, call: string): number {
  if (result >= 0) return Number(result)
  throw new Error(`${call}: errno ${ffi.getInt32(libc.__errno_location())}`)
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16LE(2, 0)
  bytes.writeUInt16BE(port, 2)
  address.split('.').forEach((part, i) => bytes.writeUInt8(Number(part), 4 + i))
  return bytes
}

function receive(fd: number): string {
  const buffer = Buffer.alloc(1024)
  return buffer.toString('utf8', 0, checked(libc.recv(fd, buffer, 1024n, 0), 'recv'))
}
const send = (fd: number, text: string) => checked(libc.send(fd, Buffer.from(text), BigInt(Buffer.byteLength(text)), 0x4000 /* MSG_NOSIGNAL */), 'send')

function serve(fd: number, address: Buffer, name: string): void {
  checked(libc.setsockopt(fd, 1, 2 /* SO_REUSEADDR */, new Uint8Array(new Uint32Array([1]).buffer), 4), 'setsockopt')
  checked(libc.bind(fd, address, 16), 'bind')
  checked(libc.listen(fd, 8), 'listen')
  process.send!('listening', () => {
    for (;;) {
      const peer = checked(libc.accept(fd, 0n, 0n), 'accept')
      try { for (let text; (text = receive(peer)) !== '';) send(peer, `${name}: ${text}`) } catch { /* it is gone */ }
      libc.close(peer)
    }
  })
}

function talk(fd: number, address: Buffer): void {
  const seconds = new Uint8Array(new BigInt64Array([5n, 0n]).buffer)
  for (const option of [20, 21] /* SO_RCVTIMEO, SO_SNDTIMEO */) checked(libc.setsockopt(fd, 1, option, seconds, 16), 'setsockopt')
  // Closing resets the connection: otherwise IPVS remembers it for two minutes more (TIME_WAIT).
  checked(libc.setsockopt(fd, 1, 13 /* SO_LINGER */, new Uint8Array(new Int32Array([1, 0]).buffer), 8), 'setsockopt')
  checked(libc.connect(fd, address, 16), 'connect')
  process.on('message', (text: string) => {
    try { send(fd, text); process.send!(receive(fd)) } catch (error) { process.send!((error as Error).message) }
  })
  process.send!('connected')
}

const [, , what, protocol = '', address = '', port = '', name = ''] = process.argv
process.on('disconnect', () => process.exit(0))
try {
  const fd = checked(libc.socket(2, 1, protocols[protocol]!), 'socket')
  if (what === 'serve') serve(fd, socketAddress(address, Number(port)), name)
  else talk(fd, socketAddress(address, Number(port)))
} catch (error) { process.send!((error as Error).message) }
