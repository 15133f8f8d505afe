// /healthz, /livez and /readyz: one word, or a line a check with ?verbose.
import type { Api } from './api.ts'
import { textResponse, type Request, type Response } from './request.ts'

export const healthPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz'])

export function health(api: Api, { path, query }: Request): Response | undefined {
  const [, endpoint = '', check] = path.split('/')
  if (!healthPaths.has(`/${endpoint}`)) return undefined
  const checks: Record<string, boolean> = { ping: true, ...(endpoint === 'readyz' && { 'poststarthook/bootstrap': api.ready() }) }
  if (check !== undefined) return Object.hasOwn(checks, check) && checks[check] ? textResponse('ok') : textResponse('404 page not found\n', 404)
  const good = Object.values(checks).every(Boolean)
  if (good && !query.has('verbose')) return textResponse('ok')
  const lines = Object.entries(checks).map(([name, ok]) => ok ? `[+]${name} ok` : `[-]${name} failed: reason withheld`)
  return textResponse(`${lines.join('\n')}\n${endpoint} check ${good ? 'passed' : 'failed'}\n`, good ? 200 : 500)
}
