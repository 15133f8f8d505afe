// A container's log file: takes the output of both streams in the order of its arrival, turns to a new
// file when one is full, keeps the last few. What the lines look like is format.ts.
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { lineFormat, rfc3339Nano, rotatedName } from './format.ts'

export interface ContainerLog {
  /**
   * Writes all of a stream; resolves at its end, when every byte is in the file. Reads no faster than the disk writes.
   * What a full disk refuses is lost (`onError`); the program goes on.
   */
  copy(from: Readable, stream: 'stdout' | 'stderr', tee: (chunk: Buffer) => void): Promise<void>
  close(): Promise<void>
}

/** containerLogMaxSize and containerLogMaxFiles of KubeletConfiguration, by default. */
const defaults = { maxBytes: 10 << 20, maxFiles: 5 }
const now = () => rfc3339Nano(performance.timeOrigin + performance.now())

export interface LogOptions { readonly maxBytes?: number; readonly maxFiles?: number; readonly onError?: (error: Error) => void }

export async function openLog(path: string, options: LogOptions = {}): Promise<ContainerLog> {
  const { maxBytes, maxFiles, onError = () => {} } = { ...defaults, ...options }
  await mkdir(dirname(path), { recursive: true })
  // O_NOFOLLOW: the directory may be a hostPath volume of a pod.
  const reopen = () => open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o640)
  let file: FileHandle = await reopen()
  let size = (await file.stat()).size
  let queue: Promise<void> = Promise.resolve()
  const writeNow = async (text: Buffer): Promise<void> => {
    if (size > 0 && size + text.length > maxBytes) {
      await rename(path, rotatedName(path, now()))
      const full = file
      file = await reopen()
      size = 0
      await full.close()
      await dropOld(path, maxFiles - 1)
    }
    await file.appendFile(text)
    size += text.length
  }
  const write = (text: Buffer): Promise<void> => text.length ? queue = queue.then(() => writeNow(text)).catch(onError) : queue
  return {
    async copy(from, stream, tee) {
      const format = lineFormat(stream)
      for await (const chunk of from as AsyncIterable<Buffer>) {
        tee(chunk)
        await write(format.push(chunk, now()))
      }
      await write(format.end(now()))
    },
    async close() { await queue; await file.close() },
  }
}

async function dropOld(path: string, keep: number): Promise<void> {
  const name = `${basename(path)}.`
  const rotated = (await readdir(dirname(path))).filter(entry => entry.startsWith(name)).sort()
  for (const entry of rotated.slice(0, Math.max(0, rotated.length - keep))) await rm(join(dirname(path), entry), { force: true })
}
