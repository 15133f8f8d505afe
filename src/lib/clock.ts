// Time as an argument: pure code never reads a clock, and tests bring their own.

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const timer = setTimeout(() => { signal?.removeEventListener('abort', stop); resolve() }, ms)
    const stop = () => { clearTimeout(timer); reject(signal!.reason) }
    signal?.addEventListener('abort', stop, { once: true })
  }),
}

/** metav1.Time: RFC 3339 in UTC, whole seconds. */
export const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19) + 'Z'
/** metav1.MicroTime: RFC 3339 in UTC with six decimals. */
export const microTime = (ms: number): string => new Date(ms).toISOString().slice(0, 23) + '000Z'
