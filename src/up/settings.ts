// The settings of a cluster: flags and --config file parsed, checked as a whole and frozen, before
// anything is made. Each refusal is one sentence that says what to change.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '#lib/errors.ts'
import { parseYaml } from '#lib/yaml.ts'
import { formatCidr, overlaps, parseCidr, size, type Cidr } from '#net/ip.ts'
import { formatPortRange, parsePortRange } from '#net/ports.ts'
import { availableModes, parseMode } from '#proxy/mode.ts'
import { defaultDataDir } from './paths.ts'

export interface Settings {
  readonly name: string
  readonly nodes: number
  readonly dataDir: string
  readonly detach: boolean
  /** Where the host's kubeconfig is also written, when asked for. */
  readonly kubeconfig: string | undefined
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly serviceNodePortRange: string
  readonly proxyMode: string
  /** Port of the API on the host's loopback; undefined takes 6443, or a free one when that is taken. */
  readonly apiPort: number | undefined
  readonly install: boolean
  /** Cluster DNS too; it is young, and off unless asked for. */
  readonly dns: boolean
}

/** Exists only inside the cluster's namespaces; nodes, the router and the client machine live here. */
export const fabricCidr = '192.168.109.0/24'
/** .100 is the first node and .200 the client machine. */
export const maxNodes = 100

const flags = {
  'name': { type: 'string' }, 'nodes': { type: 'string' }, 'data-dir': { type: 'string' }, 'detach': { type: 'boolean', short: 'd' },
  'kubeconfig': { type: 'string' }, 'cluster-cidr': { type: 'string' }, 'service-cidr': { type: 'string' },
  'service-node-port-range': { type: 'string' }, 'proxy-mode': { type: 'string' }, 'api-port': { type: 'string' },
  'config': { type: 'string' }, 'dns': { type: 'boolean' }, 'no-install': { type: 'boolean' }, 'help': { type: 'boolean', short: 'h' },
} as const

const camel = (flag: string) => flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
const inFile = Object.fromEntries(Object.keys(flags).filter(flag => !['config', 'help', 'detach'].includes(flag)).map(flag => [camel(flag), flag]))

/** Flags win over the file; `help` asks for the help text. */
export function settingsFrom(argv: string[]): Settings | 'help' {
  const values = parseFlags(argv)
  if (values.help) return 'help'
  const merged = { ...(values.config ? fileValues(values.config) : {}), ...values }
  return checked(merged)
}

type Values = { [flag in keyof typeof flags]?: string | boolean }

function parseFlags(argv: string[]): Values & { config?: string } {
  try {
    const { values, positionals } = parseArgs({ args: argv, options: flags, strict: true, allowPositionals: true })
    if (positionals.length) throw new UserError(`up takes no argument, and "${positionals[0]}" is one: see fairway up --help`)
    return values
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError(`${(error as Error).message.split('. ')[0]}: see fairway up --help`)
  }
}

function fileValues(file: string): Values {
  let content: unknown
  try { content = parseYaml(readFileSync(file, 'utf8'), file) } catch (error) {
    throw new UserError(error instanceof SyntaxError ? error.message : `cannot read ${file}: ${(error as Error).message}`)
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw new UserError(`${file}: expected a mapping such as "nodes: 3"`)
  const values: Record<string, string | boolean> = {}
  for (const [key, value] of Object.entries(content)) {
    const flag = inFile[key]
    if (!flag) throw new UserError(`${file}: unknown key "${key}"; known are ${Object.keys(inFile).sort().join(', ')}`)
    values[flag] = typeof value === 'boolean' ? value : String(value)
  }
  return values
}

function checked(values: Values): Settings {
  const text = (flag: keyof typeof flags, fallback: string) => typeof values[flag] === 'string' ? values[flag] : fallback
  const name = text('name', 'default')
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name)) throw new UserError(`--name ${name}: use up to 32 lower-case letters, digits and dashes`)
  const nodes = wholeNumber('nodes', text('nodes', '3'), 1, maxNodes)
  const proxyMode = parseMode(text('proxy-mode', ''), '--proxy-mode')
  const cluster = cidr('cluster-cidr', text('cluster-cidr', '10.244.0.0/16'))
  const service = cidr('service-cidr', text('service-cidr', '10.96.0.0/12'))
  checkRanges(cluster, service, nodes)
  const range = parsePortRange(text('service-node-port-range', '30000-32767'))
  if (!range || range.from < 1) throw new UserError(`--service-node-port-range ${text('service-node-port-range', '')}: expected a range such as 30000-32767`)
  const apiPort = values['api-port'] === undefined ? undefined : wholeNumber('api-port', text('api-port', ''), 1, 65535)
  return Object.freeze({
    name, nodes, proxyMode, apiPort, dataDir: resolve(text('data-dir', defaultDataDir(name))),
    detach: values.detach === true, install: values['no-install'] !== true, dns: values.dns === true,
    kubeconfig: values.kubeconfig === undefined ? undefined : resolve(text('kubeconfig', '')),
    clusterCidr: formatCidr(cluster), serviceCidr: formatCidr(service), serviceNodePortRange: formatPortRange(range),
  })
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN
  if (!(value >= least && value <= most)) throw new UserError(`--${flag} ${text}: expected a whole number from ${least} to ${most}`)
  return value
}

function cidr(flag: string, text: string): Cidr {
  const value = parseCidr(text)
  if (!value) throw new UserError(`--${flag} ${text}: expected a range such as 10.96.0.0/12`)
  if (value.base.family === 6) throw new UserError(`--${flag} ${text}: this version has IPv4 clusters only`)
  return value
}

function checkRanges(cluster: Cidr, service: Cidr, nodes: number): void {
  const fabric = parseCidr(fabricCidr)!
  const named: [string, Cidr][] = [['--cluster-cidr', cluster], ['--service-cidr', service], ['the fabric', fabric]]
  for (const [i, [nameA, a]] of named.entries()) for (const [nameB, b] of named.slice(i + 1)) {
    if (overlaps(a, b)) throw new UserError(`${nameA} ${formatCidr(a)} overlaps ${nameB} ${formatCidr(b)}: choose ranges that have no address in common`)
  }
  if (cluster.prefix > 24 || size(cluster) / 256n < BigInt(nodes)) throw new UserError(`--cluster-cidr ${formatCidr(cluster)} is too small: each of the ${nodes} nodes needs a /24 of it`)
  // kube-apiserver wants at least 8 addresses and at most 20 host bits (apiserver options.go).
  if (service.prefix > 27) throw new UserError(`--service-cidr ${formatCidr(service)} is too small: cluster DNS and your Services need at least a /27`)
  if (service.prefix < 12) throw new UserError(`--service-cidr ${formatCidr(service)} is too large: it may have at most 20 bits for hosts, a /12`)
}

/** k8s-master01, k8s-node01, k8s-node02, ...: the names of the source documents' cluster. */
export const nodeNames = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => i === 0 ? 'k8s-master01' : `k8s-node${String(i).padStart(2, '0')}`)

export const upHelp = `Starts a Kubernetes cluster on this machine.

Usage: fairway up [flags]

  --name default                       name of the cluster; several run side by side
  --nodes 3                            k8s-master01, k8s-node01, k8s-node02, ...
  -d, --detach                         return once every system pod is Ready, and go on in the background
  --data-dir DIR                       where its files are kept
  --kubeconfig FILE                    write the kubeconfig there too
  --cluster-cidr 10.244.0.0/16         pods
  --service-cidr 10.96.0.0/12          cluster IPs of Services
  --service-node-port-range 30000-32767
  --proxy-mode iptables                how Services are programmed: ${availableModes.join(', ')}
  --api-port 6443                      the API's port on 127.0.0.1 (without the flag: 6443, or a free one)
  --dns                                cluster DNS too (early: two more pods, not yet all of CoreDNS)
  --config FILE                        the same settings as YAML: nodes: 5, serviceCidr: 10.0.0.0/16, ...
  --no-install                         never fetch anything; refuse when something is missing

Examples:
  fairway up                           in the foreground until Ctrl-C
  fairway up --detach --nodes 5
  fairway up --name other --detach     a second cluster beside the first
`
