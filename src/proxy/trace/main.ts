// `fairway proxy trace`: reads the rules back from the kernel of this machine and follows a packet
// through them. Names are looked up in the API; what rules mean is each mode's trace.ts.
import { readdirSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Pod, Service } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { readKubeconfig, type Kubeconfig } from '#client/kubeconfig.ts'
import { findIptables } from '#host/iptables.ts'
import { inNetns, netnsDirectory, netnsPath } from '#host/netns.ts'
import { findNft } from '#host/nft.ts'
import { run } from '#host/run.ts'
import { isNotFound, UserError } from '#lib/errors.ts'
import { formatIp, parseIp } from '#net/ip.ts'
import { parseTables, trace as traceIptables } from '../iptables/trace.ts'
import { parseTable } from '../nftables/parse.ts'
import { trace as traceNftables } from '../nftables/trace.ts'
import { tryConnections } from './live/apply.ts'
import type { Outcome, Packet } from './outcome.ts'
import { parseQuestion, traceUsage, type Question, type Target } from './question.ts'
import { comparison, reportText } from './report.ts'

export async function main(argv: readonly string[]): Promise<number> {
  const question = parseQuestion(argv)
  if (question === 'help') { process.stdout.write(traceUsage); return 0 }
  const api = apiOf(question)
  try {
    const to = await resolveTarget(question, api)
    const from = await resolveSource(question.from, to.ip, api)
    const packet: Packet = { source: from.ip, destination: to.ip, protocol: question.protocol ?? to.protocol, port: to.port, ...from.inputInterface && { inputInterface: from.inputInterface } }
    const { mode, outcomes } = await traced(packet, question.mode)
    process.stdout.write(reportText({ packet, fromName: from.name, toName: to.name, mode, outcomes }))
    return question.live ? await compareLive(packet, outcomes) : 0
  } finally { api.close() }
}

interface Api { readonly get: () => { client: Client; namespace: string }; readonly close: () => void }
/** Connects only when a name must be looked up. */
function apiOf({ kubeconfig }: Question): Api {
  let made: { client: Client; config: Kubeconfig } | undefined
  return {
    get: () => {
      if (!made) {
        const file = kubeconfig ?? process.env.KUBECONFIG
        if (!file) throw new UserError('names are looked up in the API: set KUBECONFIG or give --kubeconfig, or use addresses')
        const config = readKubeconfig(file)
        made = { config, client: new Client(httpsTransport(config)) }
      }
      return { client: made.client, namespace: made.config.namespace }
    },
    close: () => made?.client.transport.close(),
  }
}

interface Resolved { readonly ip: string; readonly port: number; readonly protocol: Packet['protocol']; readonly name: string }

async function resolveTarget({ to, protocol }: Question, api: Api): Promise<Resolved> {
  if ('ip' in to) return { ip: formatIp(parseIp(to.ip)!), port: to.port, protocol: 'tcp', name: '' }
  const { client, namespace } = api.get()
  const name = `${to.namespace ?? namespace}/${to.name}`
  const { spec } = await found(client.get<Service>(resources.services, to.namespace ?? namespace, to.name), `Service ${name}`)
  if (!spec.clusterIP || spec.clusterIP === 'None') throw new UserError(`Service ${name} has no cluster IP (${spec.type === 'ExternalName' ? 'ExternalName' : 'headless'}): no proxy handles it; trace to a pod's address`)
  const port = choosePort(spec.ports ?? [], to, { name, protocol })
  return { ip: spec.clusterIP, port: port.port, protocol: (port.protocol ?? 'TCP').toLowerCase() as Packet['protocol'], name: `Service ${name}${port.name ? `, port ${port.name}` : ''}` }
}

type ServicePort = NonNullable<Service['spec']['ports']>[number]
function choosePort(ports: readonly ServicePort[], { port }: Extract<Target, { name: string }>, { name, protocol }: { name: string; protocol: string | undefined }): ServicePort {
  const matching = ports.filter(one => (port === undefined || port === one.name || port === String(one.port)) && (protocol === undefined || (one.protocol ?? 'TCP').toLowerCase() === protocol))
  const list = ports.map(one => `${one.port}/${one.protocol ?? 'TCP'}${one.name ? ` (${one.name})` : ''}`).join(', ')
  if (matching.length === 1) return matching[0]!
  throw new UserError(matching.length === 0 ? `Service ${name} has no such port: it has ${list}` : `Service ${name} has several such ports: name one of ${list}${port === undefined ? '' : ', with --proto'}`)
}

interface Source { readonly ip: string; readonly name: string; readonly inputInterface: string | undefined }

async function resolveSource(from: string | undefined, to: string, api: Api): Promise<Source> {
  const own = ownAddresses(), family = to.includes(':') ? 6 : 4
  if (from === undefined) {
    const ip = await routeField(to, 'prefsrc') ?? own.find(address => (parseIp(address)?.family ?? 0) === family)
    if (!ip) throw new UserError(`this machine has no IPv${family} address to send from`)
    return { ip: own.includes(to) ? to : ip, name: 'this machine', inputInterface: undefined }
  }
  const address = parseIp(from)
  const { ip, name } = address ? { ip: formatIp(address), name: '' } : await podAddress(from, family, api)
  if ((parseIp(ip)?.family ?? 0) !== family) throw new UserError(`--from ${from} is an IPv${family === 4 ? 6 : 4} address, and ${to} an IPv${family} one`)
  if (own.includes(ip)) return { ip, name: name || 'this machine', inputInterface: undefined }
  const inputInterface = await routeField(ip, 'dev')
  if (!inputInterface) throw new UserError(`this machine has no route to ${ip}: run the trace on the node that its packets pass`)
  return { ip, name, inputInterface }
}

async function podAddress(from: string, family: 4 | 6, api: Api): Promise<{ ip: string; name: string }> {
  const { client, namespace } = api.get()
  const [first, second] = from.split('/') as [string, string?]
  const [podNamespace, name] = second === undefined ? [namespace, first] : [first, second]
  const pod = await found(client.get<Pod>(resources.pods, podNamespace, name), `pod ${podNamespace}/${name}`)
  const ips = [...pod.status?.podIPs?.map(({ ip }) => ip) ?? [], pod.status?.podIP].filter(ip => ip !== undefined)
  const ip = ips.find(ip => parseIp(ip)?.family === family)
  if (!ip) throw new UserError(`pod ${podNamespace}/${name} has no IPv${family} address${pod.status?.phase ? ` (${pod.status.phase})` : ''}`)
  return { ip, name: `pod ${podNamespace}/${name}` }
}

async function found<T>(request: Promise<T>, what: string): Promise<T> {
  try { return await request } catch (error) { throw isNotFound(error) ? new UserError(`there is no ${what}`) : error }
}

const ownAddresses = (): string[] => Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address))

/** What the kernel's routes say about an address; undefined where there is no route. */
async function routeField(ip: string, field: 'dev' | 'prefsrc'): Promise<string | undefined> {
  try {
    const [route] = JSON.parse((await run(['ip', '-j', 'route', 'get', ip])).stdout) as Record<string, string>[]
    return route?.[field]
  } catch { return undefined }
}

async function traced(packet: Packet, wanted: 'iptables' | 'nftables' | undefined): Promise<{ mode: string; outcomes: Outcome[] }> {
  const family = packet.destination.includes(':') ? 6 : 4, options = { nodeAddresses: ownAddresses() }
  if (wanted !== 'iptables') {
    const listed = await (await findNft())?.list(`${family === 6 ? 'ip6' : 'ip'} kube-proxy`)
    if (listed) return { mode: 'nftables', outcomes: traceNftables(parseTable(listed), packet, options) }
    if (wanted) throw new UserError(`there is no table ${family === 6 ? 'ip6' : 'ip'} kube-proxy here: no proxy in mode nftables has written its rules`)
  }
  const iptables = await findIptables(family)
  const saved = iptables && await iptables.save('nat') + await iptables.save('filter')
  if (!saved?.includes(':KUBE-SERVICES ')) throw new UserError(`this machine has no rules of a proxy in mode ${wanted ?? 'iptables or nftables'} for IPv${family}: run it on a node, as root (fairway shell NODE -- fairway proxy trace ...)`)
  return { mode: `iptables (${iptables!.command})`, outcomes: traceIptables(parseTables(saved), packet, options) }
}

async function compareLive(packet: Packet, outcomes: readonly Outcome[]): Promise<number> {
  if (packet.protocol !== 'tcp') throw new UserError('--live opens connections: it works with tcp')
  const netns = packet.inputInterface === undefined ? undefined : netnsOf(packet.source)
  const seen = await tryConnections(packet, { netns, tries: outcomes.length === 1 && outcomes[0]!.verdict !== 'endpoint' ? 1 : Math.min(100, outcomes.length * 10) })
  const { text, agrees } = comparison(outcomes, seen)
  process.stdout.write(text)
  return agrees ? 0 : 1
}

/** The named network namespace that has the address: a pod of this node. */
function netnsOf(ip: string): string {
  let names: string[] = []
  try { names = readdirSync(netnsDirectory) } catch { /* none has a name */ }
  for (const name of names) {
    try { if (inNetns(netnsPath(name), ownAddresses).includes(ip)) return netnsPath(name) } catch { /* it went meanwhile */ }
  }
  throw new UserError(`--live from ${ip}: no network of a pod on this machine has that address; leave --from out to send from here`)
}
