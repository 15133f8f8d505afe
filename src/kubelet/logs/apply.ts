// Reads a container's log file for someone: from where they asked, and on as it grows. What a line
// means is in lines.ts.
import { watch } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { LogFilter, tailStart, type LogOptions } from './lines.ts'

const blockBytes = 64 << 10

export interface LogSource {
  readonly path: string
  /** The container has ended: nothing more will be written. */
  ended(): boolean
  /** Calls back when the container may have ended; returns how to stop that. */
  onEnd(listener: () => void): () => void
  readonly signal: AbortSignal
}

/** The bytes that the options ask for, as they come; ends with the container when following. */
export async function* readLog(source: LogSource, options: LogOptions): AsyncGenerator<Buffer> {
  const filter = new LogFilter(options)
  const file = await open(source.path)
  const wait = options.follow ? waiter(source) : undefined
  try {
    let at = await startOffset(file, options.tailLines)
    while (!source.signal.aborted && !filter.full) {
      // Looked at before reading: what was written before the end is then surely read.
      const last = !options.follow || source.ended()
      const buffer = Buffer.allocUnsafe(blockBytes)
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, blockBytes, at)
        if (bytesRead === 0) break
        at += bytesRead
        const out = filter.push(buffer.subarray(0, bytesRead))
        if (out.length) yield out
        if (filter.full || source.signal.aborted) return
      }
      if (last) return
      await wait!.next()
    }
  } finally {
    wait?.close()
    await file.close()
  }
}

/** Resolves `next` whenever the file has grown or the container has ended since the last call. */
function waiter({ path, onEnd, signal }: LogSource): { next(): Promise<void>; close(): void } {
  let dirty = false, wake = () => {}
  const poke = () => { dirty = true; wake() }
  const watcher = watch(path, poke)
  watcher.on('error', poke)
  const off = onEnd(poke)
  signal.addEventListener('abort', poke, { once: true })
  return {
    async next() {
      if (!dirty) await new Promise<void>(resolve => { wake = resolve })
      dirty = false
    },
    close() { watcher.close(); off(); signal.removeEventListener('abort', poke) },
  }
}

async function startOffset(file: FileHandle, tailLines: number | undefined): Promise<number> {
  if (tailLines === undefined) return 0
  const { size } = await file.stat()
  if (tailLines === 0) return size
  let wanted = tailLines
  for (let end = size; end > 0;) {
    const begin = Math.max(0, end - blockBytes)
    const block = Buffer.allocUnsafe(end - begin)
    await file.read(block, 0, block.length, begin)
    const { start, found } = tailStart(block, wanted)
    if (start >= 0) return begin + start
    wanted -= found
    end = begin
  }
  return 0
}
