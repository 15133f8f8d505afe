// What `fairway proxy trace` is asked: its flags, and the names in them, read. Looking names up is
// main.ts.
import { UserError } from '#lib/errors.ts'
import { parseIp } from '#net/ip.ts'

export interface Question {
  /** An IP address or a pod; undefined for this machine. */
  readonly from: string | undefined
  readonly to: Target
  readonly protocol: 'tcp' | 'udp' | 'sctp' | undefined
  readonly mode: 'iptables' | 'nftables' | undefined
  readonly live: boolean
  readonly kubeconfig: string | undefined
}
/** Where the packet is sent: an address, or a Service by name and port (a number or a name; none if it has but one). */
export type Target =
  | { readonly ip: string; readonly port: number }
  | { readonly namespace: string | undefined; readonly name: string; readonly port: string | undefined }

export const traceUsage = `Usage: fairway proxy trace --to NAME[:PORT]|IP:PORT [flags]

Follows the first packet of a connection through the rules that the kernel of this machine holds
now, and prints each rule that it meets, where it may end, how likely, and whether its source is
replaced. In a cluster of Fairway: fairway shell NODE -- fairway proxy trace ...

  --to NAME[:PORT]     a Service (name, name.namespace or namespace/name) and its port, by number or name
  --to IP:PORT         any address; IPv6 as [fd00::1]:80
  --from POD|IP        who sends: a pod (name or namespace/name) or an address; this machine without it
  --proto PROTOCOL     tcp, udp or sctp: the Service port's own, or tcp
  --mode MODE          iptables or nftables: the one that has rules here
  --live               also open the connection (tcp, from here or from a pod of this node) and compare
  --kubeconfig FILE    where names are looked up: $KUBECONFIG
`

const flags = ['from', 'to', 'proto', 'mode', 'kubeconfig']

/** `help` asks for the usage. */
export function parseQuestion(argv: readonly string[]): Question | 'help' {
  const values = new Map<string, string>(), rest = [...argv]
  let live = false
  while (rest.length > 0) {
    const word = rest.shift()!, [, name, inline] = /^--?([a-z]+)(?:=(.*))?$/.exec(word) ?? []
    if (name === 'help' || name === 'h') return 'help'
    if (name === 'live' && inline === undefined) { live = true; continue }
    if (name === undefined || !flags.includes(name)) throw new UserError(`${word}: fairway proxy trace takes ${flags.map(flag => `--${flag}`).join(', ')} and --live`)
    const value = inline ?? rest.shift()
    if (!value) throw new UserError(`flag needs an argument: --${name}`)
    values.set(name, value)
  }
  const to = values.get('to')
  if (to === undefined) throw new UserError('say where the packet goes: --to NAME[:PORT] or --to IP:PORT')
  return { from: values.get('from'), to: parseTarget(to), protocol: oneOf('proto', values.get('proto'), ['tcp', 'udp', 'sctp']), mode: oneOf('mode', values.get('mode'), ['iptables', 'nftables']),
    live, kubeconfig: values.get('kubeconfig') }
}

function oneOf<T extends string>(flag: string, value: string | undefined, known: readonly T[]): T | undefined {
  if (value !== undefined && !known.includes(value as T)) throw new UserError(`--${flag} ${value}: ${flag === 'mode' ? 'only the rules of' : 'use'} ${known.join(' or ')}${flag === 'mode' ? ' can be traced' : ''}`)
  return value as T | undefined
}

export function parseTarget(text: string): Target {
  const [, host = text, port] = /^\[?(.*?)\]?(?::([\w-]+))?$/.exec(text) ?? []
  const bare = parseIp(text) ? text : host
  if (parseIp(bare)) {
    if (bare === text || !/^\d{1,5}$/.test(port ?? '')) throw new UserError(`--to ${text}: an address needs a port, as in ${bare.includes(':') ? `[${bare}]` : bare}:80`)
    return { ip: bare, port: Number(port) }
  }
  const slash = /^([a-z0-9-]+)\/([a-z0-9.-]+)$/.exec(host), dot = /^([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc(?:\.[a-z0-9.-]+)?)?)?$/.exec(host)
  if (slash) return { namespace: slash[1], name: slash[2]!, port }
  if (dot) return { namespace: dot[2], name: dot[1]!, port }
  throw new UserError(`--to ${text}: expected a Service (name, name.namespace or namespace/name) or an address, with a port: web:80`)
}
