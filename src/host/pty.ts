// Pseudo terminals from a given devpts (a pod's), without node-pty: the master side as streams, the
// slave as a descriptor for a child. The child makes it its controlling terminal itself (TIOCSCTTY).
import { constants, openSync, write } from 'node:fs'
import { PassThrough, Writable } from 'node:stream'
import type { Readable } from 'node:stream'
import { ReadStream } from 'node:tty'
import { ioctl } from './libc.ts'

export interface Pty { readonly master: number; readonly slave: number }

/** `ptmx` is the multiplexer of the devpts to use; the caller closes both descriptors (`terminal` takes the master over). */
export function openPty(ptmx: string): Pty {
  const master = openSync(ptmx, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  ioctl(master, 'TIOCSPTLCK', new Int32Array([0]))
  return { master, slave: ioctl(master, 'TIOCGPTPEER', BigInt(constants.O_RDWR | constants.O_NOCTTY | 0o2000000)) } // O_CLOEXEC
}

/** struct winsize */
export const resizePty = (master: number, columns: number, rows: number): void => { ioctl(master, 'TIOCSWINSZ', new Uint16Array([rows, columns, 0, 0])) }

export interface Terminal { readonly output: Readable; readonly input: Writable; resize(columns: number, rows: number): void }
/** Streams over a master. `output` ends when the last slave is closed, and closes the master. */
export function terminal(master: number): Terminal {
  const stream = new ReadStream(master), output = new PassThrough()
  let open = true
  stream.on('error', () => stream.destroy()) // EIO: every slave is closed, which is a terminal's end of file
  stream.on('close', () => { open = false; output.end() })
  output.on('close', () => stream.destroy())
  stream.pipe(output, { end: false })
  const input = new Writable({ write(chunk: Buffer, _encoding, done) { writeAll(chunk, done) } })
  // The master does not block: a program that never reads its input must not stop this process.
  const writeAll = (chunk: Buffer, done: (error?: Error | null) => void): void => {
    if (!open) return done()
    write(master, chunk, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(() => writeAll(chunk, done), 5)
      else if (error) done(open ? error : null)
      else if (written < chunk.length) writeAll(chunk.subarray(written), done)
      else done()
    })
  }
  return { output, input, resize: (columns, rows) => { if (open) resizePty(master, columns, rows) } }
}
