// Real time that a test can skip ahead: sleeps that would end in the skipped span end at once. Unlike
// a clock that stands still, it lets sockets and disks take the time they take.
import { systemClock, type Clock } from '#lib/clock.ts'

export function offsetClock(): Clock & { skip(ms: number): void } {
  let offset = 0
  const sleepers = new Set<() => void>()
  const now = () => systemClock.now() + offset
  return {
    now,
    async sleep(ms, signal) {
      const end = now() + ms
      while (now() < end) {
        const skipped = new AbortController()
        const wake = () => skipped.abort()
        sleepers.add(wake)
        try { await systemClock.sleep(end - now(), signal ? AbortSignal.any([signal, skipped.signal]) : skipped.signal) } catch (error) {
          if (!skipped.signal.aborted) throw error
        } finally { sleepers.delete(wake) }
      }
    },
    skip(ms) { offset += ms; for (const wake of [...sleepers]) wake() },
  }
}
