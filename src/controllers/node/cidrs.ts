// Pod ranges for nodes: each gets the first free block of the cluster's CIDR.
import type { Node } from '#api/core/v1.ts'
import { bits, contains, formatCidr, overlaps, parseCidr, size, subnet, type Cidr } from '#net/ip.ts'

/** The node's own range, in text; undefined when the cluster's is used up. */
export function freeCidr(nodes: readonly Node[], { clusterCidr, maskSize }: { clusterCidr: Cidr; maskSize: number }): string | undefined {
  const taken = nodes.flatMap(node => node.spec.podCIDRs ?? (node.spec.podCIDR ? [node.spec.podCIDR] : []))
    .map(parseCidr).filter(cidr => cidr !== undefined)
  const blocks = Number(size(clusterCidr) >> BigInt(bits(clusterCidr.base.family) - maskSize))
  // A block that equals a taken one is found at once; ranges of other sizes are compared.
  const exact = new Set(taken.filter(cidr => cidr.prefix === maskSize && contains(clusterCidr, cidr.base)).map(formatCidr))
  const others = taken.filter(cidr => cidr.prefix !== maskSize)
  for (let i = 0; i < blocks; i++) {
    const block = subnet(clusterCidr, maskSize, i)
    if (!exact.has(formatCidr(block)) && !others.some(cidr => overlaps(cidr, block))) return formatCidr(block)
  }
  return undefined
}
