// `fairway agent --config FILE`: the kubelets of all nodes of this machine in one process. Reads the
// files, makes the parts and joins them; tells its parent over IPC once all nodes are Ready.
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Node } from '#api/core/v1.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import type { Informer } from '#client/informer.ts'
import { equal } from '#lib/equal.ts'
import { UserError } from '#lib/errors.ts'
import { logger, type Log } from '#lib/log.ts'
import { Kubelet, sharedInformers, type SharedInformers } from './apply.ts'
import { configFile, parseConfig, type AgentConfig, type NodeSettings } from './config.ts'
import { egressFetch } from './egress/apply.ts'
import { openImages } from './images/apply.ts'
import type { ImageStore } from './images/store.ts'
import { applyNodeNetwork } from './network/apply.ts'
import type { Peer } from './network/network.ts'
import { machineFacts } from './node/apply.ts'
import { kubeletPort, peersOf, type MachineFacts } from './node/node.ts'
import { createRuntime } from './runtime/linux/apply.ts'
import { startKubeletServer } from './server.ts'

export async function main(argv: string[]): Promise<number> {
  const file = configFile(argv)
  const config = parseConfig(read(file), file)
  const log = logger('agent')
  const stop = new AbortController()
  const stopped = new Promise<void>(resolve => {
    const end = () => { stop.abort(); resolve() }
    process.once('SIGTERM', end).once('SIGINT', end)
    // Whoever started us is gone, or orders us to end.
    process.once('disconnect', end).on('message', message => { if ((message as { kind?: string }).kind === 'stop') end() })
  })
  try { await Promise.race([startNodes(config, log, stop.signal), stopped]) } catch (error) {
    // What is half made (threads, listeners) would keep the process alive; our parent starts us again.
    process.stderr.write(`error: the agent cannot start: ${(error as Error).message}\n`)
    process.exit(1)
  }
  if (!stop.signal.aborted) process.send?.({ ready: true })
  await stopped
  // What still runs (pods, watches) ends with this process.
  process.exit(0)
}

function read(file: string): string {
  try { return readFileSync(file, 'utf8') } catch (error) { throw new UserError(`cannot read ${file}: ${(error as Error).message}`) }
}

async function startNodes(config: AgentConfig, log: Log, signal: AbortSignal): Promise<void> {
  const programRoot = config.programRoot ?? join(import.meta.dirname, '../..')
  const { version } = JSON.parse(read(join(programRoot, 'package.json'))) as { version: string }
  const images = await openImages({ directory: join(config.dataDir, 'images'), log: log.named('images'), fairwayRoot: programRoot, nodePath: process.execPath,
    ...(config.egressSocket && { fetch: egressFetch(config.egressSocket) }) })
  const facts = await machineFacts(config.dataDir, version)
  const shared = sharedInformers(clientOf(config, config.nodes[0]!), { log, signal })
  followPeers(config, shared.nodes, log)
  await Promise.all(config.nodes.map(settings => startNode({ config, settings, facts, images, shared, log, signal })))
}

interface NodeParts { readonly config: AgentConfig; readonly settings: NodeSettings; readonly facts: MachineFacts; readonly images: ImageStore; readonly shared: SharedInformers; readonly log: Log; readonly signal: AbortSignal }

async function startNode({ config, settings, facts, images, shared, log, signal }: NodeParts): Promise<void> {
  const root = join(config.dataDir, 'nodes', settings.name)
  await mkdir(root, { recursive: true, mode: 0o700 })
  await applyNodeNetwork(networkOf(config, settings), peersOf(config.nodes, [], settings.name))
  const runtime = await createRuntime({
    nodeName: settings.name, netns: settings.netns, nodeIp: settings.internalIp, podCidr: settings.podCidr, root,
    sandboxRoot: join(config.dataDir, 'sandboxes', settings.name), images, log: log.named(`runtime/${settings.name}`), unprivileged: config.unprivileged,
    ...(config.cgroup && { cgroup: config.cgroup }),
  })
  const kubelet = new Kubelet({ config, settings, facts, client: clientOf(config, settings), runtime, shared, log, signal,
    nodeResolvConf: readOr('/etc/resolv.conf', ''), nodeHosts: readOr('/etc/hosts', '127.0.0.1\tlocalhost\n') })
  await startKubeletServer({ kubelet, runtime, tls: credentials(config, settings), port: kubeletPort, log, ...(settings.netns && { netns: settings.netns }) })
  await kubelet.start()
  log.info('node ready', { node: settings.name })
}

const networkOf = (config: AgentConfig, { netns, internalIp, podCidr }: NodeSettings) =>
  ({ netns, nodeIp: internalIp, podCidr, clusterCidr: config.clusterCidr })

/** Routes to the pods of nodes that other machines run: they come and go with their Node objects. */
function followPeers(config: AgentConfig, nodes: Informer<Node>, log: Log): void {
  for (const settings of config.nodes) {
    let applied: readonly Peer[] = peersOf(config.nodes, [], settings.name), busy = Promise.resolve()
    nodes.onChange(() => {
      const peers = peersOf(config.nodes, nodes.list(), settings.name)
      if (equal(peers, applied)) return
      applied = peers
      busy = busy.then(() => applyNodeNetwork(networkOf(config, settings), peers)).catch(error => log.error('routes not set', error, { node: settings.name }))
    })
  }
}

const readOr = (file: string, other: string): string => { try { return readFileSync(file, 'utf8') } catch { return other } }

const credentials = ({ pkiDir }: AgentConfig, { name }: NodeSettings) =>
  ({ ca: read(join(pkiDir, 'ca.crt')), cert: read(join(pkiDir, `kubelet-${name}.crt`)), key: read(join(pkiDir, `kubelet-${name}.key`)) })

const clientOf = (config: AgentConfig, settings: NodeSettings): Client =>
  new Client(httpsTransport({ server: config.server, ...credentials(config, settings) }))
