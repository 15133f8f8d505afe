// One NOTIFY to one secondary, until it answers.
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import type { Target } from './config.ts'

const tries = 3, patience = 1000

/** Rejects when it never answered, or not with NOERROR. */
export function tell(message: Buffer, { host, port }: Target): { done: Promise<void>; stop: () => void } {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const out = Buffer.from(message)
  out.writeUInt16BE(randomInt(65536), 0)
  let timer: NodeJS.Timeout | undefined, end = (_?: Error) => {}
  const done = new Promise<void>((resolve, reject) => {
    end = error => {
      clearTimeout(timer)
      try { socket.close() } catch { /* closed */ }
      if (error) reject(error)
      else resolve()
    }
    let left = tries
    const send = () => {
      if (left-- === 0) { end(new Error('it does not answer')); return }
      socket.send(out, error => { if (error) end(error) })
      timer = setTimeout(send, patience).unref()
    }
    socket.on('error', end)
    socket.on('message', reply => {
      if (reply.length < 12 || reply.readUInt16BE(0) !== out.readUInt16BE(0) || reply[2]! < 0x80) return
      end((reply[3]! & 15) === 0 ? undefined : new Error(`it answers with rcode ${reply[3]! & 15}`))
    })
    socket.connect(port, host, (error?: Error) => error ? end(error) : send())
  })
  socket.unref()
  return { done, stop: () => end() }
}
