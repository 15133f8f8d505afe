// Puts a node's pod network into the kernel, in the node's network namespace. Safe to do again with
// other peers: what is there already stays.
import { writeFileSync } from 'node:fs'
import { applyIp } from '#host/ip.ts'
import { inNetns } from '#host/netns.ts'
import { run } from '#host/run.ts'
import { bridge, hostPortRules, masqueradeRules, nodeLinks, nodeSysctls } from './network.ts'
import type { HostPort, NodeNetwork, Peer } from './network.ts'

/** Where the node's network is: `/run/netns/<node>`; undefined: this machine's. */
export interface InNode { readonly netns: string | undefined }

export async function applyNodeNetwork(node: NodeNetwork & InNode, peers: readonly Peer[]): Promise<void> {
  const { netns } = node
  inNetns(netns, () => {
    for (const [name, value] of Object.entries(nodeSysctls)) {
      try { writeFileSync(`/proc/sys/${name}`, value) } catch (error) { if (name === 'net/ipv4/ip_forward') throw error } // the others are for comfort
    }
  })
  await applyIp(nodeLinks(node, peers), netns)
  await run(['nft', '-f', '-'], { netns, input: masqueradeRules(node) })
}

/** All hostPorts of the node at once; the last call stands. */
export async function applyHostPorts(netns: string | undefined, hostPorts: readonly HostPort[]): Promise<void> {
  // A connection from the node to its own 127.0.0.1 leaves over the bridge.
  if (hostPorts.length) inNetns(netns, () => writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1'))
  await run(['nft', '-f', '-'], { netns, input: hostPortRules(hostPorts) })
}
