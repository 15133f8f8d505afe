// The options of `forward`: one route a directive. Pure: files of nameservers are read in apply.ts.
import { parseIp } from '#net/ip.ts'
import { args, CorefileError, duration, integer, noBlock, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import { parseName, root, type Name } from '../../wire/name.ts'
import { parseRcode, rcodes } from '../../wire/types.ts'

export interface Address {
  readonly transport: 'dns' | 'tls'
  readonly host: string
  readonly port: number
  /** `tls://9.9.9.9%dns.quad9.net`: the certificate's name. */
  readonly serverName?: string
}
/** A file like /etc/resolv.conf; `token` is its place in the Corefile. */
export interface ServersFile { readonly file: string; readonly token: Token }

export type Policy = 'random' | 'round_robin' | 'sequential'

export interface Route {
  readonly from: Name
  readonly to: readonly (Address | ServersFile)[]
  readonly except: readonly Name[]
  readonly forceTcp: boolean
  /** Milliseconds, as are all times. */
  readonly expire: number
  /** 0: no limit of its own. */
  readonly maxIdle: number
  readonly maxFails: number
  /** 0: no limit of its own. */
  readonly maxAttempts: number
  readonly readTimeout: number
  readonly tls: { readonly cert?: string; readonly key?: string; readonly ca?: string }
  readonly serverName: string | undefined
  readonly policy: Policy
  readonly health: { readonly interval: number; readonly recursion: boolean; readonly domain: Name }
  /** 0: no limit. */
  readonly maxConcurrent: number
  readonly next: ReadonlySet<number>
  readonly nextOnNoData: boolean
  readonly failover: ReadonlySet<number>
  readonly failFast: boolean
  readonly source: string | undefined
}

const mostUpstreams = 15
type Draft = { -readonly [K in keyof Route]: Route[K] }

export function parse(directives: readonly Directive[], context: ParseContext): Route[] {
  return directives.map(directive => parseRoute(directive, context))
}

function parseRoute(directive: Directive, { root: folder }: ParseContext): Route {
  const [from, ...to] = directive.args
  if (!from || to.length === 0) throw new CorefileError(directive.word, "wrong argument count: forward needs a zone and where to: 'forward . 10.0.0.1' or 'forward . /etc/resolv.conf'")
  if (to.length > mostUpstreams) throw new CorefileError(to[mostUpstreams]!, `more than ${mostUpstreams} TOs configured: ${to.length}`)
  const draft: Draft = {
    from: zonesOf([from], [])[0]!, to: to.map(token => parseTo(token, folder)), except: [], forceTcp: false, expire: 10_000, maxIdle: 0, maxFails: 2, maxAttempts: 0,
    readTimeout: 2000, tls: {}, serverName: undefined, policy: 'random', health: { interval: 500, recursion: true, domain: root }, maxConcurrent: 0,
    next: new Set(), nextOnNoData: false, failover: new Set(), failFast: false, source: undefined,
  }
  for (const option of directive.block ?? []) {
    noBlock(option)
    const set = Object.hasOwn(options, option.word.text) ? options[option.word.text] : undefined
    if (!set) throw unknown(option, Object.keys(options))
    set(draft, option, folder)
  }
  if (draft.serverName !== undefined && draft.to.some(to => 'host' in to && to.serverName !== undefined)) {
    throw new CorefileError(directive.word, 'a name for TLS is given both by tls_servername and in a TO (tls://IP%NAME): leave one out')
  }
  return draft
}

export const below = (folder: string, file: string): string => file.startsWith('/') ? file : `${folder.replace(/\/$/, '')}/${file}`

const usualPort = { dns: 53, tls: 853 } as const

/** `10.0.0.1`, `10.0.0.1:53`, `[::1]:53`, `::1`, `dns://…`, `tls://IP[%NAME][:PORT]`, or a file. */
function parseTo(token: Token, folder: string): Address | ServersFile {
  const match = /^(?:([a-z0-9]+):\/\/)?(.*)$/.exec(token.text)!
  const transport = match[1] ?? 'dns', rest = match[2]!
  if (transport !== 'dns' && transport !== 'tls') throw new CorefileError(token, `'${transport}://' upstreams are not supported: use dns:// or tls://`)
  const parts = /^(?:\[([^\]]+)\]|([^%[\]]*?))(?:%([A-Za-z0-9._-]+))?(?::(\d{1,5}))?$/.exec(rest)
  const port = parts?.[4] === undefined ? usualPort[transport] : Number(parts[4])
  const found = parseIp(rest) ? { host: rest, port: usualPort[transport] } : { host: parts?.[1] ?? parts?.[2] ?? '', port }
  if (!parseIp(found.host)) {
    if (match[1] === undefined && /[/]|^[^:]*\.conf$/.test(rest)) return { file: below(folder, rest), token }
    throw new CorefileError(token, `not an IP address or file: '${token.text}' (a file is written with its folder: './${rest}')`)
  }
  if (found.port < 1 || found.port > 65535) throw new CorefileError(token, `there is no port ${found.port}`)
  if (parts?.[3] !== undefined && transport !== 'tls') throw new CorefileError(token, `'%${parts[3]}' names a certificate: only tls:// has one`)
  return { transport, ...found, ...(parts?.[3] !== undefined && { serverName: parts[3] }) }
}

type Setter = (draft: Draft, option: Directive, folder: string) => void
const flag = (set: (draft: Draft) => void): Setter => (draft, option) => { args(option, 0); set(draft) }
const number = (set: (draft: Draft, value: number) => void): Setter => (draft, option) => { args(option, 1); set(draft, integer(option.args[0]!, { max: 2 ** 31 - 1 })) }
const time = (set: (draft: Draft, ms: number) => void): Setter => (draft, option) => {
  args(option, 1)
  const ms = duration(option.args[0]!)
  if (ms <= 0) throw new CorefileError(option.args[0]!, `${option.word.text} must be above 0, not '${option.args[0]!.text}'`)
  set(draft, ms)
}
const codes = (set: (draft: Draft, codes: Set<number>) => void, { success }: { success: boolean }): Setter => (draft, option) => {
  args(option, 1, 100)
  set(draft, new Set(option.args.map(token => {
    const code = parseRcode(token.text)
    if (code === undefined) throw new CorefileError(token, `'${token.text}' is not a valid rcode such as NXDOMAIN or SERVFAIL`)
    if (code === rcodes.NOERROR && !success) throw new CorefileError(token, `'${token.text}' cannot be used in ${option.word.text}`)
    return code
  })))
}

const options: Record<string, Setter> = {
  except: (draft, option) => {
    args(option, 1, 10_000)
    draft.except = [...draft.except, ...zonesOf(option.args, [])]
  },
  force_tcp: flag(draft => { draft.forceTcp = true }),
  // Always so here: an answer that was cut is fetched again over TCP.
  prefer_udp: flag(() => {}),
  expire: time((draft, ms) => { draft.expire = ms }),
  max_idle_conns: number((draft, value) => { draft.maxIdle = value }),
  max_fails: number((draft, value) => { draft.maxFails = value }),
  max_connect_attempts: number((draft, value) => { draft.maxAttempts = value }),
  read_timeout: time((draft, ms) => { draft.readTimeout = ms }),
  tls: (draft, option, folder) => {
    const files = args(option, 0, 3).map(file => below(folder, file))
    const [first, second, third] = files
    draft.tls = files.length === 1 ? { ca: first! } : files.length === 0 ? {} : { cert: first!, key: second!, ...(third && { ca: third }) }
  },
  tls_servername: (draft, option) => { [draft.serverName] = args(option, 1) },
  policy: (draft, option) => {
    const [policy] = args(option, 1)
    if (policy !== 'random' && policy !== 'round_robin' && policy !== 'sequential') throw new CorefileError(option.args[0]!, `unknown policy '${policy}' (known: random, round_robin, sequential)`)
    draft.policy = policy
  },
  health_check: (draft, option) => { draft.health = health(option) },
  max_concurrent: number((draft, value) => { draft.maxConcurrent = value }),
  next: codes((draft, set) => { draft.next = set }, { success: true }),
  next_on_nodata: flag(draft => { draft.nextOnNoData = true }),
  failfast_all_unhealthy_upstreams: flag(draft => { draft.failFast = true }),
  failover: codes((draft, set) => { draft.failover = set }, { success: false }),
  source_address: (draft, option) => {
    const [address] = args(option, 1)
    if (!parseIp(address!)) throw new CorefileError(option.args[0]!, `'${address}' is no IP address`)
    draft.source = address
  },
}

function health(option: Directive): Route['health'] {
  args(option, 1, 4)
  const [time, ...rest] = option.args
  const interval = duration(time!)
  if (interval <= 0) throw new CorefileError(time!, `health_check must be above 0, not '${time!.text}'`)
  let recursion = true, domain = root
  for (let token = rest.shift(); token; token = rest.shift()) {
    if (token.text === 'no_rec') recursion = false
    else if (token.text === 'domain') {
      const name = rest.shift()
      const found = name && parseName(name.text)
      if (found === undefined) throw new CorefileError(name ?? token, 'domain needs a name')
      domain = found
    } else throw new CorefileError(token, `unknown word '${token.text}' behind health_check (known: no_rec, domain NAME)`)
  }
  return { interval, recursion, domain }
}

/** The nameservers of a resolv.conf, in its order. */
export function nameservers(text: string): string[] {
  return text.split('\n').flatMap(line => {
    const address = /^\s*nameserver\s+([^\s#;]+)/.exec(line)?.[1]?.replace(/%.*$/, '')
    return address !== undefined && parseIp(address) ? [address] : []
  })
}
