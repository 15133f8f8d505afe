// The three streams of a process that the sandbox thread starts: pipes or a terminal made here, their
// far ends handed over as descriptors.
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { pipe } from '#host/libc.ts'

export interface Streams {
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  /** For the new process. */
  readonly theirs: readonly [number, number, number]
  /** Closes the far ends, once the process has them. */
  handedOver(): void
  /** Closes everything: the process did not start. */
  destroy(): void
}

export function pipes({ stdin }: { readonly stdin: boolean }): Streams {
  const input = stdin ? pipe() : { read: openSync('/dev/null', 'r'), write: undefined }
  const output = pipe(), errors = pipe()
  const writable = input.write === undefined ? undefined : new Socket({ fd: input.write, readable: false, writable: true })
  const stdout = new Socket({ fd: output.read, readable: true, writable: false })
  const stderr = new Socket({ fd: errors.read, readable: true, writable: false })
  // EPIPE: the process has closed its stdin; not reading is its right.
  writable?.on('error', () => writable.destroy())
  const handedOver = () => { for (const fd of [input.read, output.write, errors.write]) closeSync(fd) }
  return { stdin: writable, stdout, stderr, theirs: [input.read, output.write, errors.write], handedOver, destroy() { writable?.destroy(); stdout.destroy(); stderr.destroy() } }
}
