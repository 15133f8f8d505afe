// Endpoints that are gone but still have connections: kept with weight 0 until the last has ended, and
// at most as long as upstream's rsGracefulDeletePeriod. Pure: the clock and `ipvsadm -L -n` are apply.ts's.
import type { Draining } from './transaction.ts'

export const drainForMs = 15 * 60_000
export const drainCheckMs = 60_000

/** What is draining, and when each is deleted whatever it still has. */
export type Drain = ReadonlyMap<string, Draining & { readonly until: number }>

const keyOf = ({ server, endpoint }: Draining) => `${server} -r ${endpoint}`

/** With those that a transaction has just found; one that drains already keeps its time. */
export function drainAlso(drain: Drain, found: readonly Draining[], now: number): Drain {
  const all = new Map(drain)
  for (const one of found) if (!all.has(keyOf(one))) all.set(keyOf(one), { ...one, until: now + drainForMs })
  return all
}

/** Without those that are wanted again, or whose virtual server is gone. */
export const stillDraining = (drain: Drain, weightOf: (one: Draining) => number | undefined): Drain =>
  new Map([...drain].filter(([, one]) => weightOf(one) === 0))

/** Those that may be deleted now: no connections, or out of time. */
export const drained = (drain: Drain, connections: Connections, now: number): Draining[] =>
  [...drain.values()].filter(one => one.until <= now || !connections.get(keyOf(one)))

/** `SERVER -r ENDPOINT` to the number of its connections, active and inactive. */
export type Connections = ReadonlyMap<string, number>

const flags: Record<string, string> = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' }
/** Reads `ipvsadm -L -n`. */
export function parseConnections(text: string): Connections {
  const all = new Map<string, number>()
  let server = ''
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (flags[words[0]!]) server = `${flags[words[0]!]} ${words[1]}`
    // -> 10.244.1.2:80 Masq 1 0 3
    else if (words[0] === '->' && /^\d+$/.test(words[4] ?? '')) all.set(keyOf({ server, endpoint: words[1]! }), Number(words[4]) + Number(words[5]))
  }
  return all
}

export const deletionLines = (gone: readonly Draining[]): string => gone.map(({ server, endpoint }) => `-d ${server} -r ${endpoint}\n`).join('')
