// `fairway proxy`: reads the settings, watches Services, EndpointSlices and Nodes, and keeps the
// rules of this machine. Runs alone against any API server, or as the kube-proxy pod of a node.
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { keyOf, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { startInformer } from '#client/informer.ts'
import { inClusterConfig, readKubeconfig } from '#client/kubeconfig.ts'
import { findConntrack } from '#host/conntrack.ts'
import { readSysctl, writeSysctl } from '#host/sysctl.ts'
import { UserError } from '#lib/errors.ts'
import { logger, type Log } from '#lib/log.ts'
import { parseYaml } from '#lib/yaml.ts'
import { ServiceProxy } from './apply.ts'
import { parseConfigFile, parseFlags, proxyConfig, type Flags, type ProxyConfig } from './config.ts'
import { ProxyHealth } from './health.ts'
import { usage } from './help.ts'
import type { Mode } from './mode.ts'
import { Metrics } from './metrics.ts'
import { cleanUpModes, createPlanes } from './modes.ts'
import { proxiedSelector } from './services.ts'
import { HealthCheckServers, Listener } from './server.ts'
import type { Change } from './state.ts'

export async function main(argv: string[]): Promise<number> {
  if (argv[0] === 'trace') return (await import('./trace/main.ts')).main(argv.slice(1))
  const flags = parseFlags(argv)
  if (flags.help) { process.stdout.write(usage()); return 0 }
  const log = logger('proxy')
  const config = proxyConfig(flags.config === undefined ? new Map() : readConfigFile(flags.config), flags.settings)
  if (flags.cleanup) return cleanUp(config, log)
  await prepareMachine(config, log)
  return serve(config, { flags, log })
}

function readConfigFile(file: string): ReadonlyMap<string, unknown> {
  let text: string
  try { text = readFileSync(file, 'utf8') } catch (error) { throw new UserError(`cannot read --config ${file}: ${(error as Error).message}`) }
  try { return parseConfigFile(parseYaml(text, file), file) } catch (error) {
    throw error instanceof SyntaxError ? new UserError(error.message) : error
  }
}

async function cleanUp(config: ProxyConfig, log: Log): Promise<number> {
  if (!await cleanUpModes({ config, log, inForce: undefined })) return 1
  log.info('removed the rules of kube-proxy')
  return 0
}

/** Settings of the kernel that Services need, or that the configuration asks for; what it refuses is said, not fatal, as each matters to some traffic only. */
async function prepareMachine(config: ProxyConfig, log: Log): Promise<void> {
  const { conntrack } = config
  const max = Math.max(conntrack.maxPerCore * availableParallelism(), conntrack.maxPerCore && conntrack.min)
  const isEnough = max <= Number(await readSysctl('net/netfilter/nf_conntrack_max') ?? 0)
  const settings: [string, number | undefined][] = [
    ['net/ipv4/ip_forward', 1],
    ['net/ipv4/conf/all/route_localnet', config.localhostNodePorts ? 1 : undefined],
    ['net/netfilter/nf_conntrack_max', isEnough ? undefined : max || undefined],
    ['net/netfilter/nf_conntrack_tcp_be_liberal', conntrack.tcpBeLiberal ? 1 : undefined],
    ['net/netfilter/nf_conntrack_tcp_timeout_established', conntrack.tcpEstablishedTimeout || undefined],
    ['net/netfilter/nf_conntrack_tcp_timeout_close_wait', conntrack.tcpCloseWaitTimeout || undefined],
    ['net/netfilter/nf_conntrack_udp_timeout', conntrack.udpTimeout || undefined],
    ['net/netfilter/nf_conntrack_udp_timeout_stream', conntrack.udpStreamTimeout || undefined],
  ]
  for (const [name, value] of settings) {
    if (value === undefined) continue
    try { await writeSysctl(name, value) } catch (error) { log.warn((error as Error).message) }
  }
  if (await readSysctl('net/bridge/bridge-nf-call-iptables') === '0') log.warn('net/bridge/bridge-nf-call-iptables is 0: Services may not work between pods on one bridge')
  try { writeFileSync('/proc/self/oom_score_adj', String(config.oomScoreAdj)) } catch { /* an ordinary user may not lower it */ }
}

async function serve(config: ProxyConfig, { flags, log }: { flags: Flags; log: Log }): Promise<number> {
  const nodeName = config.hostnameOverride || hostname().toLowerCase()
  const conntrack = await findConntrack()
  if (!conntrack) log.warn('conntrack is not installed: UDP clients keep a removed endpoint until they pause (apt install conntrack)')
  const metrics = new Metrics(), health = new ProxyHealth(2 * config.syncPeriod)
  const { mode, planes } = await createPlanes({ config, nodeName, metrics, log, fallback: flags.fallback })
  log.info('proxying', { mode, families: planes.map(plane => `IPv${plane.family}`).join(' ') })
  const proxy = new ServiceProxy({ config, nodeName, planes, conntrack, metrics, health, log, healthChecks: new HealthCheckServers(log),
    // Not before: the rules of the mode that was here before serve until ours do.
    onFirstSync: async () => { await cleanUpModes({ config, log, inForce: mode }) } })
  const listeners = listen(config, { mode, metrics, health, log })
  const transport = httpsTransport({ ...(config.kubeconfig ? readKubeconfig(config.kubeconfig) : inClusterConfig()), ...(flags.master && { server: flags.master }) })
  const stop = new AbortController()
  const ended = new Promise<void>(resolve => { for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve()) })
  process.on('SIGHUP', () => proxy.resync())
  void watchObjects(new Client(transport), proxy, { nodeName, log, signal: stop.signal })
  await ended
  stop.abort()
  await proxy.stop()
  transport.close()
  for (const listener of listeners) listener.close()
  return 0
}

/** Feeds the proxy from an API server, and starts it once everything has arrived: rules made of half the objects would cut the other half off. Resolves then, or when stopped before. */
export async function watchObjects(client: Client, proxy: ServiceProxy, { nodeName, log, signal }: { nodeName: string; log: Log; signal: AbortSignal }): Promise<void> {
  let allNodes = false
  const follow = <T extends KubeObject>(kind: Change['kind'], resource: Resource, selector: { labelSelector?: string; fieldSelector?: string }) => {
    const informer = startInformer<T>(client, resource, { ...selector, log, signal })
    informer.onChange(({ old, now }) => {
      proxy.change({ kind, key: keyOf((now ?? old)!), now } as unknown as Change)
      if (kind === 'Service' && !allNodes && proxy.usesTopologyKeys()) {
        allNodes = true // their labels decide; without topologyKeys they are not worth a watch
        follow<Node>('Node', resources.nodes, {})
      }
    })
    return informer.synced
  }
  const synced = [
    follow<Service>('Service', resources.services, { labelSelector: proxiedSelector }),
    follow<EndpointSlice>('EndpointSlice', resources.endpointslices, { labelSelector: proxiedSelector }),
    follow<Node>('Node', resources.nodes, { fieldSelector: `metadata.name=${nodeName}` }),
  ]
  try { await Promise.all(synced) } catch { return } // told to stop before anything arrived
  log.info('all objects have arrived: writing rules', { node: nodeName })
  proxy.start()
}

function listen(config: ProxyConfig, { mode, metrics, health, log }: { mode: Mode; metrics: Metrics; health: ProxyHealth; log: Log }): Listener[] {
  const listeners: Listener[] = []
  if (config.healthzBindAddress) {
    listeners.push(new Listener(config.healthzBindAddress, path => {
      if (path !== '/healthz' && path !== '/livez') return undefined
      const answer = health.answer(path, Date.now())
      metrics.add(path === '/healthz' ? 'proxy_healthz_total' : 'proxy_livez_total', { code: String(answer.code) })
      return answer
    }, { what: 'healthz', log }))
  }
  if (config.metricsBindAddress) {
    listeners.push(new Listener(config.metricsBindAddress, path => {
      if (path === '/metrics') return { code: 200, body: metrics.text(), headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' } }
      if (path === '/proxyMode') return { code: 200, body: mode }
      if (path === '/healthz') return { code: 200, body: 'ok' }
      return undefined
    }, { what: 'metrics', log }))
  }
  return listeners
}
