// The machines of a cluster and the wire between them: a bridge (the fabric) in the cluster's own
// network namespace, which is also the router; one namespace a node, and one for the client machine
// outside the cluster. No route leads out: the router answers "unreachable" for everything else, and
// nodes have a default route to it (without any route a connect to a ClusterIP fails before DNAT).
import { mkdirSync, writeFileSync } from 'node:fs'
import { mount } from '#host/libc.ts'
import { run } from '#host/run.ts'
import { at, formatIp, parseCidr, subnet, formatCidr } from '#net/ip.ts'
import { fabricCidr, nodeNames, type Settings } from './settings.ts'

export interface Machine {
  readonly name: string
  readonly netns: string
  readonly ip: string
  /** Nodes only: their share of the cluster's range. */
  readonly podCidr: string | undefined
}

const fabric = parseCidr(fabricCidr)!
const fabricIp = (host: number) => formatIp(at(fabric, host))

export const routerIp = fabricIp(1)
const clientIp = fabricIp(200)

/** Nodes in order, then the client machine. */
export function machines(settings: Pick<Settings, 'nodes' | 'clusterCidr'>): Machine[] {
  const cluster = parseCidr(settings.clusterCidr)!
  // .200 is the client's: the hundred-and-first host would meet it, and 100 nodes are the most.
  const nodes = nodeNames(settings.nodes).map((name, i) => ({
    name, netns: `/run/netns/${name}`, ip: fabricIp(100 + i), podCidr: formatCidr(subnet(cluster, 24, i)) }))
  return [...nodes, { name: 'client', netns: '/run/netns/client', ip: clientIp, podCidr: undefined }]
}

/** `ip -batch` text for the router's namespace, which makes all the others. */
export function fabricCommands(all: readonly Machine[]): string {
  return [
    'link set lo up',
    'link add fabric type bridge',
    `addr add ${routerIp}/${fabric.prefix} dev fabric`,
    'link set fabric up',
    'route add unreachable default',
    ...all.flatMap((machine, i) => [
      `netns add ${machine.name}`,
      `link add fabric${i} type veth peer name eth0 netns ${machine.name}`,
      `link set fabric${i} master fabric up`,
    ]),
    ...all.filter(machine => machine.podCidr).map(machine => `route add ${machine.podCidr} via ${machine.ip}`),
  ].join('\n') + '\n'
}

/** `ip -batch` text for one machine's own namespace. */
export function machineCommands(machine: Machine): string {
  return [
    'link set lo up',
    `addr add ${machine.ip}/${fabric.prefix} dev eth0`,
    'link set eth0 up',
    // The client machine is outside the cluster: it reaches the fabric's addresses and nothing else.
    machine.podCidr ? `route add default via ${routerIp}` : 'route add unreachable default',
  ].join('\n') + '\n'
}

/** Makes it all; the caller is alone in fresh network and mount namespaces with a private /run. */
export async function buildFabric(all: readonly Machine[]): Promise<void> {
  mkdirSync('/run/netns', { recursive: true })
  // Shared, as ip-netns(8) wants it: every mount namespace below sees the networks that come later.
  mount({ source: '/run/netns', target: '/run/netns', flags: ['MS_BIND'] })
  mount({ target: '/run/netns', flags: ['MS_SHARED'] })
  await run(['ip', '-batch', '-'], { input: fabricCommands(all) })
  // In the router's own namespace, not the host's. "Unreachable" is said to everyone at once: a SYN that
  // is not answered would be sent again past the rules that have come since, by conntrack's memory of it.
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  try { writeFileSync('/proc/sys/net/ipv4/icmp_ratelimit', '0') } catch { /* only slower */ }
  await Promise.all(all.map(machine => run(['ip', '-n', machine.name, '-batch', '-'], { input: machineCommands(machine) })))
}
