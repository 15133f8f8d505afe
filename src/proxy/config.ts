// Flags and a KubeProxyConfiguration file to one frozen value. An unknown key or flag is an error
// with its path; so is a value of the wrong type. Reading the file is main.ts.
import { UserError } from '#lib/errors.ts'
import { formatCidr, parseCidr, type Cidr } from '#net/ip.ts'
import { fieldFlags, fields, fieldType, otherFlags, type Fields, type FieldType } from './fields.ts'
import { parseMode, type Mode } from './mode.ts'

export interface ProxyConfig {
  readonly mode: Mode
  /** '' to use the pod's own credentials. */
  readonly kubeconfig: string
  /** '' for the machine's name. */
  readonly hostnameOverride: string
  /** '' or an address; the node's address when the API does not know the node. */
  readonly bindAddress: string
  /** `address:port`; undefined when off. */
  readonly healthzBindAddress: string | undefined
  readonly metricsBindAddress: string | undefined
  readonly clusterCIDRs: readonly Cidr[]
  readonly detectLocalMode: DetectLocalMode
  readonly bridgeInterface: string
  readonly interfaceNamePrefix: string
  /** CIDRs and `primary`; empty for all addresses (the keyword `all`). */
  readonly nodePortAddresses: readonly string[]
  readonly masqueradeAll: boolean
  readonly masqueradeBit: number
  readonly localhostNodePorts: boolean
  /** Milliseconds. */
  readonly syncPeriod: number
  /** Milliseconds between syncs; 0: as long as the last sync took. */
  readonly minSyncPeriod: number
  readonly conntrack: { readonly maxPerCore: number; readonly min: number; readonly tcpBeLiberal: boolean
    /** Seconds; 0 leaves the kernel's. */
    readonly tcpEstablishedTimeout: number; readonly tcpCloseWaitTimeout: number; readonly udpTimeout: number; readonly udpStreamTimeout: number }
  /** Durations in seconds, 0 leaves the kernel's. */
  readonly ipvs: { readonly scheduler: string; readonly excludeCIDRs: readonly Cidr[]; readonly strictARP: boolean
    readonly tcpTimeout: number; readonly tcpFinTimeout: number; readonly udpTimeout: number }
  /** Milliseconds after which the userspace mode forgets a silent UDP client (250 ms in Kubernetes 1.20). */
  readonly udpIdleTimeout: number
  readonly oomScoreAdj: number
  readonly verbosity: number
}

export const detectLocalModes = ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'] as const
export type DetectLocalMode = typeof detectLocalModes[number]

export interface Flags {
  readonly config: string | undefined
  readonly master: string | undefined
  readonly cleanup: boolean
  readonly help: boolean
  /** Run in another mode where the configured one cannot. */
  readonly fallback: boolean
  /** Settings by the path of their field; they win over the file. */
  readonly settings: ReadonlyMap<string, unknown>
}

type Values = ReadonlyMap<string, unknown>

export function parseFlags(argv: readonly string[]): Flags {
  const settings = new Map<string, unknown>(), other = new Map<string, string | boolean>()
  const rest = [...argv]
  while (rest.length > 0) {
    const word = rest.shift()!
    const [, name, inline] = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/.exec(word) ?? []
    if (name === undefined) throw new UserError(`${word}: fairway proxy takes only flags; see fairway proxy --help`)
    const path = Object.hasOwn(fieldFlags, name) ? fieldFlags[name] : undefined
    const type = path ? fieldType(path) : Object.hasOwn(otherFlags, name) ? otherFlags[name as keyof typeof otherFlags] : undefined
    if (!type) throw new UserError(`unknown flag: --${name}; see fairway proxy --help`)
    const text = inline ?? (type === 'bool' ? 'true' : rest.shift())
    if (text === undefined) throw new UserError(`flag needs an argument: --${name}`)
    const value = fromText(text, type, `--${name}`)
    if (path) settings.set(path, value)
    else other.set(name, value as string | boolean)
  }
  for (const name of ['write-config-to', 'init-only', 'version']) if (other.has(name)) throw new UserError(`--${name} is not supported`)
  return { settings, config: other.get('config') as string, master: other.get('master') as string, cleanup: other.get('cleanup') === true, help: other.get('help') === true, fallback: other.get('fallback') === true }
}

/** A file's fields by path. `file` names it in errors. */
export function parseConfigFile(value: unknown, file: string): Values {
  const values = new Map<string, unknown>()
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${file}: this is no KubeProxyConfiguration`)
  const { apiVersion, kind } = value as Record<string, unknown>
  if (apiVersion !== 'kubeproxy.config.k8s.io/v1alpha1' || kind !== 'KubeProxyConfiguration') {
    throw new UserError(`${file}: apiVersion and kind must be kubeproxy.config.k8s.io/v1alpha1 and KubeProxyConfiguration, not ${String(apiVersion)} and ${String(kind)}`)
  }
  collect(value as Record<string, unknown>, fields, { file, prefix: '', values })
  return values
}

function collect(object: Record<string, unknown>, known: Fields, { file, prefix, values }: { file: string; prefix: string; values: Map<string, unknown> }): void {
  for (const [name, value] of Object.entries(object)) {
    const path = prefix + name
    const type = Object.hasOwn(known, name) ? known[name] : undefined
    if (type === undefined) throw new UserError(`${file}: unknown field "${path}"`)
    if (value === null || value === undefined) continue // as Go: null is the zero value, and so the default
    if (typeof type === 'string') values.set(path, checked(value, type, `${file}: ${path}`))
    else if (typeof value !== 'object' || Array.isArray(value)) throw new UserError(`${file}: ${path} must be an object`)
    else collect(value as Record<string, unknown>, type, { file, prefix: `${path}.`, values })
  }
}

const isType: Record<FieldType, (value: unknown) => boolean> = {
  any: () => true,
  string: value => typeof value === 'string',
  bool: value => typeof value === 'boolean',
  int: Number.isSafeInteger,
  float: value => typeof value === 'number',
  duration: value => typeof value === 'string' && duration(value) !== undefined,
  strings: value => Array.isArray(value) && value.every(item => typeof item === 'string'),
  bools: value => typeof value === 'object' && !Array.isArray(value) && Object.values(value!).every(item => typeof item === 'boolean'),
}
const wanted: Record<FieldType, string> = { any: '', string: 'a string', bool: 'true or false', int: 'an integer', float: 'a number',
  duration: 'a duration such as 30s or 1m30s', strings: 'a list of strings', bools: 'true or false by name' }

function checked(value: unknown, type: FieldType, where: string): unknown {
  if (!isType[type](value)) throw new UserError(`${where}: must be ${wanted[type]}, not ${JSON.stringify(value)}`)
  return type === 'duration' ? duration(value as string) : value
}

function fromText(text: string, type: FieldType, where: string): unknown {
  const split = () => text.split(',').map(item => item.trim()).filter(Boolean)
  switch (type) {
    case 'bool': return checked(text === 'true' ? true : text === 'false' ? false : text, type, where)
    case 'int': case 'float': return checked(text.trim() === '' ? text : Number(text), type, where)
    case 'strings': return split()
    case 'bools': return checked(Object.fromEntries(split().map(item => [item.split('=')[0]!, item.endsWith('=true') ? true : item.endsWith('=false') ? false : item])), type, where)
    default: return checked(text, type, where)
  }
}

const units: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
/** Go's time.ParseDuration, in milliseconds; `undefined` when the text is none. */
export function duration(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  const ms = [...text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * units[unit!]!, 0)
  return text.startsWith('-') ? -ms : ms
}

/** The whole configuration: a flag wins over the file, the file over the default. */
export function proxyConfig(file: Values, settings: Values): ProxyConfig {
  const get = <T>(path: string, otherwise: T): T => (settings.get(path) ?? file.get(path) ?? otherwise) as T
  const positive = (path: string, otherwise: number) => notNegative(path, get(path, otherwise))
  const seconds = (path: string, otherwise: number) => Math.round(positive(path, otherwise) / 1000)
  const mode = parseMode(get('mode', ''))
  return Object.freeze({
    mode,
    kubeconfig: get('clientConnection.kubeconfig', ''),
    hostnameOverride: get('hostnameOverride', '').trim().toLowerCase(),
    bindAddress: get('bindAddress', ''),
    healthzBindAddress: bindAddress('healthzBindAddress', get('healthzBindAddress', '') || '0.0.0.0:10256', 10256),
    metricsBindAddress: bindAddress('metricsBindAddress', get('metricsBindAddress', '') || '127.0.0.1:10249', 10249),
    clusterCIDRs: cidrs('clusterCIDR', get('clusterCIDR', '').split(',').map(text => text.trim()).filter(Boolean)),
    ...detectLocal(get('detectLocalMode', ''), get('detectLocal.bridgeInterface', ''), get('detectLocal.interfaceNamePrefix', '')),
    ...nodePorts(mode, get('nodePortAddresses', []), get('iptables.localhostNodePorts', true)),
    ...ofMode(mode, file, settings),
    conntrack: {
      maxPerCore: positive('conntrack.maxPerCore', 32_768), min: positive('conntrack.min', 131_072), tcpBeLiberal: get('conntrack.tcpBeLiberal', false),
      tcpEstablishedTimeout: seconds('conntrack.tcpEstablishedTimeout', 86_400_000), tcpCloseWaitTimeout: seconds('conntrack.tcpCloseWaitTimeout', 3_600_000),
      udpTimeout: seconds('conntrack.udpTimeout', 0), udpStreamTimeout: seconds('conntrack.udpStreamTimeout', 0),
    },
    ipvs: {
      scheduler: get('ipvs.scheduler', '') || 'rr', excludeCIDRs: cidrs('ipvs.excludeCIDRs', get('ipvs.excludeCIDRs', [])), strictARP: get('ipvs.strictARP', false),
      tcpTimeout: seconds('ipvs.tcpTimeout', 0), tcpFinTimeout: seconds('ipvs.tcpFinTimeout', 0), udpTimeout: seconds('ipvs.udpTimeout', 0),
    },
    udpIdleTimeout: positive('udpIdleTimeout', 0) || 250,
    oomScoreAdj: get('oomScoreAdj', -999),
    verbosity: get('logging.verbosity', 0),
  })
}

function notNegative(path: string, value: number): number {
  if (value < 0) throw new UserError(`${path}: must not be negative`)
  return value
}

/**
 * The fields that several modes have, each in its own section of the file. Flags are one for all modes, by the name that
 * iptables gave them; ipvs takes masquerading from the section iptables, as upstream; modes without a section use iptables's.
 */
function ofMode(mode: Mode, file: Values, settings: Values) {
  const own = mode === 'nftables' || mode === 'ipvs' ? mode : 'iptables'
  const find = <T>(section: string, field: string, otherwise: T): [string, T] => {
    const path = settings.has(`${section}.${field}`) || !settings.has(`iptables.${field}`) ? `${section}.${field}` : `iptables.${field}`
    return [path, (settings.get(path) ?? file.get(path) ?? otherwise) as T]
  }
  const masquerade = own === 'nftables' ? own : 'iptables'
  return {
    masqueradeAll: find(masquerade, 'masqueradeAll', false)[1],
    masqueradeBit: bit(...find(masquerade, 'masqueradeBit', 14)),
    syncPeriod: notNegative(...find(own, 'syncPeriod', 0)) || 30_000,
    minSyncPeriod: notNegative(...find(own, 'minSyncPeriod', 0)),
  }
}

function bit(path: string, value: number): number {
  if (value < 0 || value > 31) throw new UserError(`${path}: must be from 0 to 31, not ${value}`)
  return value
}

function cidrs(path: string, texts: readonly string[]): Cidr[] {
  return texts.map(text => {
    const cidr = parseCidr(text)
    if (!cidr) throw new UserError(`${path}: ${JSON.stringify(text)} is no CIDR such as 10.244.0.0/16`)
    return cidr
  })
}

/**
 * CIDRs and the keywords `primary`, `all` and `localhost` (KEP-6032). What an absent list means is the mode's: nftables then serves
 * the node's own address alone, the others every address. Localhost takes iptables.localhostNodePorts, or in other modes its keyword.
 */
function nodePorts(mode: Mode, texts: readonly string[], iptablesLocalhost: boolean) {
  const others = texts.filter(text => text !== 'localhost' && text !== 'all')
  if (others.includes('primary') && others.length > 1) throw new UserError('nodePortAddresses: primary stands beside no CIDR')
  const isAll = texts.includes('all') || (texts.length === 0 && mode !== 'nftables')
  const ranges = others.map(text => text === 'primary' ? text : formatCidr(cidrs('nodePortAddresses', [text])[0]!))
  const addresses = [...ranges, ...texts.includes('localhost') ? ['127.0.0.0/8'] : []]
  const localhost = mode === 'iptables' || mode === 'userspace' ? iptablesLocalhost : texts.includes('localhost')
  return {
    nodePortAddresses: isAll ? [] : texts.length === 0 ? ['primary'] : addresses,
    localhostNodePorts: localhost,
  }
}

function detectLocal(mode: string, bridgeInterface: string, interfaceNamePrefix: string) {
  const detectLocalMode = detectLocalModes.find(known => known === (mode || 'ClusterCIDR'))
  if (!detectLocalMode) throw new UserError(`detectLocalMode: ${JSON.stringify(mode)} is none of ${detectLocalModes.join(', ')}`)
  if (detectLocalMode === 'BridgeInterface' && !bridgeInterface) throw new UserError('detectLocal.bridgeInterface: must be set with detectLocalMode BridgeInterface')
  if (detectLocalMode === 'InterfaceNamePrefix' && !interfaceNamePrefix) throw new UserError('detectLocal.interfaceNamePrefix: must be set with detectLocalMode InterfaceNamePrefix')
  return { detectLocalMode, bridgeInterface, interfaceNamePrefix }
}

/** `address:port`, `[v6]:port`, `:port` or an address alone; port 0 turns the server off, as upstream. */
function bindAddress(path: string, text: string, defaultPort: number): string | undefined {
  const [, host = '', port = defaultPort] = /^(\[[0-9a-fA-F:.]+\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [, undefined, NaN]
  if (!(Number(port) <= 65535)) throw new UserError(`${path}: ${JSON.stringify(text)} is no address such as 0.0.0.0:${defaultPort}`)
  return Number(port) === 0 ? undefined : `${host || '0.0.0.0'}:${port}`
}
