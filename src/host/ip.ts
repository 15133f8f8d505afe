// The links, addresses and routes of a machine, declared whole as a value and applied by one
// `ip -batch`. `replace` and `|| true` semantics make it safe to apply again.
import { run } from './run.ts'

export interface Link {
  readonly name: string
  readonly kind: 'bridge' | 'dummy' | 'veth' | 'existing'
  /** The other end of a veth, and the named namespace that it goes to. */
  readonly peer?: { readonly name: string; readonly netns?: string }
  readonly master?: string
  readonly mac?: string
  readonly mtu?: number
  /** `192.168.109.100/24` */
  readonly addresses?: readonly string[]
}
export interface Route {
  /** A CIDR or `default`. */
  readonly to: string
  readonly via?: string
  readonly dev?: string
  readonly type?: 'unreachable' | 'blackhole'
}
export interface IpConfig { readonly links?: readonly Link[]; readonly routes?: readonly Route[] }

/** The text for `ip -force -batch -`; pure. `links` are created in order, so that a master precedes its ports. */
export function ipBatch({ links = [], routes = [] }: IpConfig, existing: ReadonlySet<string> = new Set()): string {
  const lines = [
    ...links.filter(link => link.kind !== 'existing' && !existing.has(link.name)).map(link =>
      `link add ${link.name}${link.mac ? ` address ${link.mac}` : ''}${link.mtu ? ` mtu ${link.mtu}` : ''} type ${link.kind}${link.peer ? ` peer name ${link.peer.name}${link.peer.netns ? ` netns ${link.peer.netns}` : ''}` : ''}`),
    ...links.flatMap(link => (link.addresses ?? []).map(address => `addr replace ${address} dev ${link.name}`)),
    ...links.map(link => `link set ${link.name}${link.master ? ` master ${link.master}` : ''} up`),
    ...routes.map(route => `route replace ${route.type ? `${route.type} ` : ''}${route.to}${route.via ? ` via ${route.via}` : ''}${route.dev ? ` dev ${route.dev}` : ''}`),
  ]
  return lines.map(line => `${line}\n`).join('')
}

/** Applies it in a network namespace (a path; undefined: this one); what exists already is kept. */
export async function applyIp(config: IpConfig, netns: string | undefined): Promise<void> {
  const { stdout } = await run(['ip', '-json', 'link'], { netns })
  const existing = new Set((JSON.parse(stdout || '[]') as { ifname: string }[]).map(link => link.ifname))
  await run(['ip', '-batch', '-'], { netns, input: ipBatch(config, existing) })
}
