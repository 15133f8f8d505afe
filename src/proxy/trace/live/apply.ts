// Opens real connections and asks conntrack what became of each: for `fairway proxy trace --live`.
import { createConnection, type Socket } from 'node:net'
import { connectIn } from '#host/netns.ts'
import { run } from '#host/run.ts'
import { UserError } from '#lib/errors.ts'
import type { Packet } from '../outcome.ts'
import type { Met } from '../report.ts'

const timeoutMs = 2000

export async function tryConnections({ source, destination, port }: Packet, { netns, tries }: { netns: string | undefined; tries: number }): Promise<Met[]> {
  const seen: Met[] = []
  for (let i = 0; i < tries; i++) {
    const { error, localPort } = await attempt({ destination, port, netns })
    const flow = await lookUp({ source, destination, port, localPort })
    if (flow && flow.replySource !== `${destination} ${port}`) {
      const [ip, replyPort] = flow.replySource.split(' ') as [string, string]
      seen.push({ verdict: 'endpoint', endpoint: ip.includes(':') ? `[${ip}]:${replyPort}` : `${ip}:${replyPort}`, masquerade: flow.isMasqueraded })
    } else if (error === 'ECONNREFUSED') seen.push({ verdict: 'REJECT', endpoint: undefined, masquerade: false })
    else if (error === 'timeout') seen.push({ verdict: 'DROP', endpoint: undefined, masquerade: false })
    else if (error) throw new UserError(`--live: connecting to ${destination} failed with ${error}: there is no way from here`)
    else seen.push({ verdict: 'none', endpoint: undefined, masquerade: false })
  }
  return seen
}

interface Attempt { readonly error: string | undefined; readonly localPort: number }

function attempt({ destination, port, netns }: { destination: string; port: number; netns: string | undefined }): Promise<Attempt> {
  return new Promise(resolve => {
    let socket: Socket | undefined, localPort = 0
    const end = (error: string | undefined) => { clearTimeout(timer); localPort ||= socket?.localPort ?? 0; socket?.destroy(); resolve({ error, localPort }) }
    const timer = setTimeout(() => end('timeout'), timeoutMs)
    const failed = (error: NodeJS.ErrnoException & { localPort?: number }) => { localPort = error.localPort ?? 0; end(error.code ?? error.message) }
    if (netns) connectIn(netns, { host: destination, port }).then(made => { socket = made; end(undefined) }, failed)
    else socket = createConnection({ host: destination, port }, () => end(undefined)).on('error', failed)
  })
}

interface Found { readonly replySource: string; readonly isMasqueraded: boolean }

/** The connection as conntrack of this machine has it; a refused one is forgotten at once. */
async function lookUp({ source, destination, port, localPort }: { source: string; destination: string; port: number; localPort: number }): Promise<Found | undefined> {
  const argv = ['conntrack', '-L', '-f', destination.includes(':') ? 'ipv6' : 'ipv4', '-p', 'tcp', '--orig-src', source, '--orig-dst', destination, '--orig-port-dst', String(port), ...localPort ? ['--orig-port-src', String(localPort)] : []]
  let stdout: string
  try { ({ stdout } = await run(argv)) } catch (error) { throw new UserError(`--live reads the connection tracking table: ${(error as Error).message} (apt install conntrack)`) }
  const line = stdout.split('\n').findLast(Boolean)
  if (!line) return undefined
  const field = (name: string) => [...line.matchAll(new RegExp(`\\b${name}=(\\S+)`, 'g'))].map(match => match[1]!)
  // Where the node itself sends, masquerading may keep the address: it then shows in the port, which is picked at random.
  return { replySource: `${field('src')[1]} ${field('sport')[1]}`, isMasqueraded: field('dst')[1] !== source || field('dport')[1] !== field('sport')[0] }
}
