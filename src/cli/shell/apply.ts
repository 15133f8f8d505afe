// `fairway shell`: enters the network of a node, of a pod, or of the client machine. Two steps of
// nsenter: into the cluster's namespaces (as an ordinary user its user namespace first), then into
// the machine's network. Signals go to the command's process group by the terminal; exit status and
// a signal's 128+n come back.
import { dirname } from 'node:path'
import { UserError, isNotFound } from '#lib/errors.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { readKubeconfig } from '#client/kubeconfig.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { clusterFiles, programRoot } from '#up/paths.ts'
import { unprivileged } from '#up/preflight.ts'
import type { RunFile } from '#up/runfile.ts'
import { run as runCommand } from '#host/run.ts'
import { fetchedKubectl } from '../kubectl/apply.ts'
import { passThrough } from '../passthrough/apply.ts'
import { clusterFlags, clusterOf, parseFlags } from '../flags.ts'

export async function shell(argv: string[]): Promise<number> {
  const { values, words, rest } = parseFlags('shell', argv, clusterFlags)
  if (words.length !== 1) throw new UserError(words.length ? `put "--" before the command: fairway shell ${words[0]} -- ${words.slice(1).join(' ')}` : 'shell needs a node, a pod or "client": see fairway shell --help')
  const { run, dataDir } = clusterOf(values)
  const target = await targetOf(words[0]!, run, clusterFiles(dataDir).kubeconfig)
  const command = rest.length ? rest : [process.env.SHELL ?? '/bin/sh']
  return passThrough([...intoCluster(run), ...intoMachine(target), ...command], {
    KUBECONFIG: clusterFiles(dataDir).insideKubeconfig,
    PATH: `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${dirname(fetchedKubectl())}:${programRoot}`,
    ...(rest.length ? {} : { PS1: `[\\u@${target.hostname} \\W]\\$ ` }),
  })
}

interface Target { readonly hostname: string; readonly netns: string }

/** The words that run a command inside a cluster's namespaces (its network is then the router's). */
export const intoCluster = (run: RunFile): string[] => ['nsenter', '-t', String(run.innerPid),
  ...(unprivileged() ? ['-U', '--preserve-credentials'] : []), '-m', '-p', '-i', '-u', '-n']

/** From there into one machine's network, under its host name and in the folder that we are in. */
export const intoMachine = (target: Target): string[] => ['nsenter', `--net=${target.netns}`, 'unshare', '--uts',
  'sh', '-c', 'echo "$0" > /proc/sys/kernel/hostname; cd "$1" 2>/dev/null; shift; exec "$@"', target.hostname, process.cwd()]

async function targetOf(word: string, run: RunFile, kubeconfig: string): Promise<Target> {
  if (word === 'client') return { hostname: 'client', netns: '/run/netns/client' }
  const transport = httpsTransport(readKubeconfig(kubeconfig))
  try {
    const client = new Client(transport)
    const nodes = (await client.list<Node>(resources.nodes)).items.map(node => node.metadata.name)
    if (nodes.includes(word)) return { hostname: word, netns: `/run/netns/${word}` }
    return await podTarget(word, { client, run, nodes })
  } finally { transport.close() }
}

async function podTarget(word: string, given: { client: Client; run: RunFile; nodes: string[] }): Promise<Target> {
  const [namespace, name] = word.includes('/') ? word.split('/') as [string, string] : ['default', word]
  const pod = await given.client.get<Pod>(resources.pods, namespace, name).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
    throw new UserError(`no node and no pod is called "${word}": nodes are ${given.nodes.join(', ')}; pods are NAME or NAMESPACE/NAME; or use "client"`)
  })
  if (pod.spec.hostNetwork) return { hostname: pod.spec.nodeName!, netns: `/run/netns/${pod.spec.nodeName}` }
  const ip = pod.status?.podIP
  if (!ip) throw new UserError(`pod ${namespace}/${name} has no address yet (${pod.status?.phase ?? 'Pending'})`)
  // A pod's network is named after its sandbox; its address says which one it is.
  const { stdout } = await runCommand([...intoCluster(given.run), 'sh', '-c',
    'for n in /run/netns/*; do ip -n "${n##*/}" -4 -o addr show 2>/dev/null | grep -qF " $0/" && echo "$n"; done; true', ip])
  const netns = stdout.trim().split('\n').find(Boolean)
  if (!netns) throw new UserError(`the network of pod ${namespace}/${name} (${ip}) is not on this machine`)
  return { hostname: name, netns }
}
