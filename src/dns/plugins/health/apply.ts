// One GET of our own health page.
import { get } from '#lib/http.ts'

/** Milliseconds until the answer was there; rejects when there was none within 4 s. */
export function probe(address: string): Promise<number> {
  const started = performance.now()
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address)!
  return new Promise((resolve, reject) => {
    const request = get({ host: match[1] || match[2] || '127.0.0.1', port: Number(match[3]), path: '/health', timeout: 4000, agent: false }, response => {
      response.resume().once('end', () => resolve(performance.now() - started))
    })
    request.once('timeout', () => request.destroy(new Error('no answer from ourselves within 4 s'))).once('error', reject)
  })
}
