// `fairway server`: the control plane in one process. The API server answers on the fabric and on a
// loopback socket that it inherits; controllers and scheduler are its clients without a socket between.
import { createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import { Client } from '#client/client.ts'
import { startControllers } from '#controllers/main.ts'
import { UserError } from '#lib/errors.ts'
import { logger } from '#lib/log.ts'
import { at, formatIp, parseCidr } from '#net/ip.ts'
import { parsePortRange } from '#net/ports.ts'
import { startScheduler } from '#scheduler/apply.ts'
import { dnsAddon } from './addons/dns.ts'
import { kubeletAddon } from './addons/kubelet.ts'
import { proxyAddon } from './addons/proxy.ts'
import { applyAddons, removeOtherNodes, whenReady } from './bootstrap.ts'
import type { Report } from './messages.ts'
import { serviceIps } from './files.ts'
import { clusterFiles } from './paths.ts'
import { nodeNames } from './settings.ts'

const flags = {
  'data-dir': { type: 'string' }, 'advertise-address': { type: 'string' }, 'secure-port': { type: 'string', default: '6443' },
  'loopback-fd': { type: 'string' }, 'service-cluster-ip-range': { type: 'string', default: '10.96.0.0/12' },
  'service-node-port-range': { type: 'string', default: '30000-32767' }, 'cluster-cidr': { type: 'string', default: '10.244.0.0/16' },
  'proxy-mode': { type: 'string', default: 'iptables' }, 'nodes': { type: 'string', default: '0' }, 'dns': { type: 'boolean', default: false }, 'help': { type: 'boolean', short: 'h' },
} as const

const helpText = `The control plane alone: API server, controllers and scheduler in one process.

Usage: fairway server --data-dir DIR --advertise-address IP [flags]

  --data-dir DIR                      storage, and certificates in DIR/pki (made by fairway up)
  --advertise-address IP              where nodes and pods reach the API; it listens there
  --secure-port 6443
  --service-cluster-ip-range 10.96.0.0/12
  --service-node-port-range 30000-32767
  --cluster-cidr 10.244.0.0/16        pod ranges of nodes are taken from it
  --proxy-mode iptables               written into the ConfigMap kube-proxy of a new cluster
  --dns                               create cluster DNS in a new cluster
  --nodes N                           report Ready once N nodes and their system pods are (default 0: at once)

Examples:
  fairway server --data-dir /var/lib/fairway/lab --advertise-address 127.0.0.1
`

export async function main(argv: string[]): Promise<number> {
  const given = parse(argv)
  if (given.help) { process.stdout.write(helpText); return 0 }
  process.umask(0o077) // the storage holds secrets
  const log = logger('server')
  const report = (message: Report) => { if (process.connected) process.send!(message) }
  const config = await configOf(given)
  const server = await createApiServer(config, { log })
  const since = server.storage.revision
  const client = new Client(server.transport({ name: 'system:admin', groups: ['system:masters'] }))
  await Promise.all([listen(server, given), applyAddons(client, addonsOf(given))])
  if (Number(given.nodes)) await removeOtherNodes(client, nodeNames(Number(given.nodes)))
  const stop = new AbortController()
  const controllers = startControllers(client, { log: log.named('controllers'), signal: stop.signal, rootCa: config.pki.ca, clusterCidr: config.settings.clusterCidr, nodeCidrMaskSize: 24 })
  const scheduler = startScheduler(client, { log: log.named('scheduler'), signal: stop.signal })
  whenReady(client, { nodes: Number(given.nodes), since, signal: stop.signal, progress: text => report({ kind: 'progress', text }) })
    .then(() => report({ kind: 'ready' }), (error: unknown) => { if (!stop.signal.aborted) log.error('cannot tell whether the cluster is ready', error) })
  await new Promise<void>(resolve => { for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve()); process.once('disconnect', () => resolve()) })
  stop.abort(new Error('the server stops'))
  await Promise.all([controllers.stop(), scheduler.stop()])
  await server.close()
  return 0
}

type Given = ReturnType<typeof parse>

const addonsOf = (given: Given) => [
  ...kubeletAddon(),
  ...proxyAddon({ apiServer: `https://${given['advertise-address']}:${given['secure-port']}`, clusterCidr: given['cluster-cidr'], proxyMode: given['proxy-mode'] }),
  ...(given.dns ? dnsAddon({ clusterIp: serviceIps(given['service-cluster-ip-range']).dns, clusterDomain: 'cluster.local' }) : []),
]

function parse(argv: string[]) {
  try {
    const { values } = parseArgs({ args: argv, options: flags, strict: true })
    if (!values.help) for (const flag of ['data-dir', 'advertise-address'] as const) if (!values[flag]) throw new UserError(`--${flag} is required: see fairway server --help`)
    return values
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${(error as Error).message.split('. ')[0]}: see fairway server --help`)
  }
}

async function configOf(given: Given) {
  const files = clusterFiles(given['data-dir']!), advertiseAddress = given['advertise-address']!
  const range = <T>(flag: keyof Given, parsed: T | undefined): T => {
    if (parsed === undefined) throw new UserError(`--${flag} ${String(given[flag])}: this is no range`)
    return parsed
  }
  const serviceCidr = range('service-cluster-ip-range', parseCidr(given['service-cluster-ip-range']))
  const pki = await ensurePki(files.pki, { serviceIp: formatIp(at(serviceCidr, 1)), advertiseAddress, nodeNames: nodeNames(Number(given.nodes)) })
  return {
    storageFile: files.database, pki, advertiseAddress, advertisePort: Number(given['secure-port']),
    settings: {
      serviceCidr,
      clusterCidr: range('cluster-cidr', parseCidr(given['cluster-cidr'])),
      serviceNodePortRange: range('service-node-port-range', parsePortRange(given['service-node-port-range'])),
    },
  }
}

async function listen(server: ApiServer, given: Given): Promise<void> {
  const addresses = [server.listen({ host: given['advertise-address']!, port: Number(given['secure-port']) })]
  if (given['loopback-fd'] !== undefined) {
    const inherited = createServer()
    await new Promise<void>(resolve => inherited.listen({ fd: Number(given['loopback-fd']) }, resolve))
    addresses.push(server.listen({ server: inherited }))
  }
  await Promise.all(addresses)
}
