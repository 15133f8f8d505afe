// `fairway down` and `fairway status`.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { readKubeconfig } from '#client/kubeconfig.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { UserError } from '#lib/errors.ts'
import { toYaml } from '#lib/yaml.ts'
import { clusterFiles } from '#up/paths.ts'
import { removeRunFile, runningCluster, startTimeOf, type RunFile } from '#up/runfile.ts'
import { removeTree, sweep } from '#up/sweep.ts'
import { clusterFlags, clusterName, dataDirOf, parseFlags } from '../flags.ts'
import { statusText, type ClusterStatus } from './status.ts'

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

export async function down(argv: string[]): Promise<number> {
  const { values, words } = parseFlags('down', argv, { ...clusterFlags, purge: { type: 'boolean' } })
  if (words.length) throw new UserError(`down takes no argument: did you mean "fairway down --name ${words[0]}"?`)
  const dataDir = dataDirOf(values), name = clusterName(values)
  const run = runningCluster(dataDir)
  if (run) await end(run)
  await sweep(name, dataDir)
  removeRunFile(dataDir)
  if (values.purge) await purge(dataDir)
  process.stdout.write(run ? `cluster "${name}" is down${values.purge ? ' and its files are removed' : `; its objects stay in ${dataDir}`}\n`
    : `cluster "${name}" does not run${values.purge ? '; its files are removed' : ''}\n`)
  return 0
}

async function end(run: RunFile): Promise<void> {
  const alive = () => startTimeOf(run.pid) === run.startTime
  process.kill(run.pid, 'SIGTERM')
  for (let waited = 0; alive() && waited < 10_000; waited += 20) await sleep(20)
  if (alive()) process.kill(run.pid, 'SIGKILL') // everything below dies with it
  for (let waited = 0; existsSync(`/proc/${run.innerPid}/ns/pid`) && waited < 5000; waited += 20) await sleep(20)
}

// Only what a cluster makes is removed, so that a mistaken --data-dir costs nothing.
async function purge(dataDir: string): Promise<void> {
  for (const path of Object.values(clusterFiles(dataDir))) await removeTree(path)
  for (const journal of ['-wal', '-shm']) rmSync(clusterFiles(dataDir).database + journal, { force: true })
  if (existsSync(dataDir) && readdirSync(dataDir).length === 0) rmSync(dataDir, { recursive: true })
}

export async function status(argv: string[]): Promise<number> {
  const { values } = parseFlags('status', argv, { ...clusterFlags, output: { type: 'string', short: 'o' } })
  const dataDir = dataDirOf(values)
  const found = await clusterStatus(clusterName(values), dataDir)
  switch (values.output) {
    case 'json': process.stdout.write(JSON.stringify(found, undefined, 2) + '\n'); break
    case 'yaml': process.stdout.write(toYaml(found)); break
    case undefined: case 'wide': process.stdout.write(statusText(found, values.output === 'wide')); break
    default: throw new UserError(`-o ${String(values.output)}: use json, yaml or wide`)
  }
  return found.running ? 0 : 1
}

async function clusterStatus(name: string, dataDir: string): Promise<ClusterStatus> {
  const run = runningCluster(dataDir)
  if (!run) return { name, running: false, dataDir }
  const kubeconfig = clusterFiles(dataDir).kubeconfig
  const base = { name, running: true, ready: run.ready, dataDir, kubeconfig, pid: run.pid, api: `https://127.0.0.1:${run.apiPort}`,
    startedAt: run.startedAt, memoryMb: Math.round(pssOfTree(run.pid) / 1024) }
  const transport = httpsTransport(readKubeconfig(kubeconfig))
  try {
    const client = new Client(transport)
    const [nodes, pods] = await Promise.all([client.list<Node>(resources.nodes), client.list<Pod>(resources.pods)])
    return { ...base, nodes: nodes.items.map(node => nodeRow(node, pods.items)) }
  } catch (error) {
    return { ...base, problem: `the API does not answer: ${(error as Error).message}` }
  } finally { transport.close() }
}

const nodeRow = (node: Node, pods: readonly Pod[]) => ({
  name: node.metadata.name,
  ready: node.status?.conditions?.find(condition => condition.type === 'Ready')?.status === 'True',
  address: node.status?.addresses?.find(address => address.type === 'InternalIP')?.address ?? '',
  podCidr: node.spec.podCIDR ?? '',
  pods: pods.filter(pod => pod.spec.nodeName === node.metadata.name && pod.status?.phase === 'Running').length,
})

/** Proportional set size in KiB of a process and all below it (what another process of the same program shares counts once). */
function pssOfTree(pid: number): number {
  let total = 0
  try { total += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) } catch { /* another user's, or gone */ }
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      for (const child of readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ')) if (child) total += pssOfTree(Number(child))
    }
  } catch { /* gone */ }
  return total
}
