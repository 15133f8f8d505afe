// `fairway logs`: the log files of a cluster's parts, read by tail(1), which also follows them.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { clusterFiles } from '#up/paths.ts'
import { clusterFlags, dataDirOf, parseFlags } from '../flags.ts'
import { passThrough } from '../passthrough/apply.ts'

const processes = ['server', 'agent', 'cluster', 'outer']

export async function logs(argv: string[]): Promise<number> {
  const { values, words } = parseFlags('logs', argv, { ...clusterFlags, follow: { type: 'boolean', short: 'f' }, tail: { type: 'string' } })
  if (words.length > 1) throw new UserError('logs takes one component at most')
  const lines = values.tail === undefined ? '+1' : String(values.tail)
  if (!/^\+?\d{1,9}$/.test(lines)) throw new UserError(`--tail ${lines}: expected a number of lines`)
  const found = logFiles(dataDirOf(values), words[0])
  return passThrough(['tail', '-n', lines, ...(values.follow ? ['-F'] : []), ...(found.length > 1 ? ['-v'] : ['-q']), ...found], {})
}

/** The files of one component, or of all of Fairway's own processes. */
export function logFiles(dataDir: string, component: string | undefined): string[] {
  const files = clusterFiles(dataDir)
  if (!existsSync(files.logs)) throw new UserError(`no cluster has run from ${dataDir} yet`)
  const own = (component === undefined ? processes : processes.filter(name => name === component))
    .map(name => join(files.logs, `${name}.log`)).filter(file => existsSync(file))
  const found = component === undefined ? own : [...own, ...podLogs(files.nodes, component)]
  if (!found.length) throw new UserError(`no log of "${component}": there are ${processes.join(', ')}, and the pods of kube-system by name (kube-proxy)`)
  return found
}

// <node>/log/pods/kube-system_<pod>_<uid>/<container>/<attempt>.log
function podLogs(nodes: string, component: string): string[] {
  if (!existsSync(nodes)) return []
  return readdirSync(nodes).flatMap(node => {
    const pods = join(nodes, node, 'log/pods')
    if (!existsSync(pods)) return []
    return readdirSync(pods).filter(pod => pod.startsWith(`kube-system_${component}`)).flatMap(pod =>
      readdirSync(join(pods, pod), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.log')).map(file => join(pods, pod, file)))
  })
}
