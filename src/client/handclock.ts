// A clock for tests: it stands still until told, so that minutes pass in no time and nothing is left to chance.
import type { Clock } from '#lib/clock.ts'

/** Sleeps end in the order of their time; `advance` resolves when what they woke had its turn. */
export function handClock(start = 0): Clock & { advance(ms: number): Promise<void> } {
  let now = start
  const sleepers: { at: number; wake: () => void }[] = []
  return {
    now: () => now,
    sleep: (ms, signal) => new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = { at: now + ms, wake: () => { signal?.removeEventListener('abort', stop); resolve() } }
      const stop = () => { sleepers.splice(sleepers.indexOf(sleeper), 1); reject(signal!.reason) }
      sleepers.push(sleeper)
      signal?.addEventListener('abort', stop, { once: true })
    }),
    async advance(ms) {
      now += ms
      sleepers.sort((a, b) => a.at - b.at)
      while (sleepers[0] && sleepers[0].at <= now) sleepers.shift()!.wake()
      await new Promise(setImmediate)
    },
  }
}
