// From what the kernel holds to what is wanted: the lines for `ipvsadm -R`, `ipset restore` and
// `ip -batch`, of what differs and nothing else. An endpoint that goes is not deleted while it may have
// connections: drain.ts says when.
import type { Family } from '#net/ip.ts'
import { holds, type Kernel } from './kernel.ts'
import { device, setDefinition, setIds, setName } from './names.ts'
import { endpointLine, serverLines, type VirtualServer } from './servers.ts'
import { nothingWanted, type Wanted } from './wanted.ts'

/** Texts in the order in which they must take effect; '' where there is nothing to write. */
export interface Transaction {
  /** `ipset restore`: new sets and entries, before the first packet that needs them. */
  readonly setsBefore: string
  /** `ipvsadm -R`: new servers have their endpoints before their address draws packets. */
  readonly servers: string
  /** `ip -batch -`: the device and its addresses. */
  readonly addresses: string
  /** `ipset restore`: entries that no packet needs any more. */
  readonly setsAfter: string
  /** Endpoints of TCP that have just got weight 0: to be deleted once their connections have ended. */
  readonly draining: readonly Draining[]
}
export interface Draining { readonly server: string; readonly endpoint: string }

/** `before` is what was wanted last, whose servers need no look when they are the same objects; with nothing, all are compared. Changes nothing. */
export function transaction(kernel: Kernel, wanted: Wanted, { family, before = nothingWanted() }: { family: Family; before?: Wanted }): Transaction {
  const draining: Draining[] = [], lines: string[] = []
  for (const [key, server] of wanted.servers) if (before.servers.get(key) !== server) lines.push(...serverChanges(kernel, server, draining))
  for (const key of kernel.servers.keys()) if (!wanted.servers.has(key)) lines.push(`-D ${key}`)
  return { ...setChanges(kernel, wanted, family), servers: text(lines), addresses: text(addressChanges(kernel, wanted, family)), draining }
}

const text = (lines: readonly string[]) => lines.map(line => `${line}\n`).join('')

function serverChanges({ servers }: Kernel, server: VirtualServer, draining: Draining[]): string[] {
  const held = servers.get(server.key), lines: string[] = []
  if (!held) return serverLines(server)
  if (held.options !== server.options) lines.push(`-E ${server.key} ${server.options}`)
  const wanted = new Set(server.endpoints)
  for (const endpoint of wanted) {
    const weight = held.endpoints.get(endpoint)
    if (weight !== 1) lines.push(endpointLine(weight === undefined ? '-a' : '-e', server.key, endpoint)) // one that drained is back
  }
  for (const [endpoint, weight] of held.endpoints) {
    if (wanted.has(endpoint)) continue
    // Upstream's IsRsGracefulTerminationNeeded: with UDP and SCTP at once; expire_nodest_conn ends what was open.
    if (!server.key.startsWith('-t ')) lines.push(`-d ${server.key} -r ${endpoint}`)
    else {
      if (weight !== 0) lines.push(endpointLine('-e', server.key, endpoint, 0))
      draining.push({ server: server.key, endpoint })
    }
  }
  return lines
}

function setChanges(kernel: Kernel, wanted: Wanted, family: Family): { setsBefore: string; setsAfter: string } {
  const first: string[] = [], last: string[] = []
  for (const id of setIds) {
    const held = kernel.sets.get(id), name = setName(id, family), entries = wanted.sets.get(id)!
    if (!held) first.push(`create ${setDefinition(id, family)}`)
    for (const entry of entries) if (!held?.has(entry)) first.push(`add ${name} ${entry}`)
    if (held) for (const entry of held) if (!entries.has(entry)) last.push(`del ${name} ${entry}`)
  }
  return { setsBefore: text(first), setsAfter: text(last) }
}

function addressChanges({ addresses }: Kernel, wanted: Wanted, family: Family): string[] {
  const lines: string[] = [], bits = family === 4 ? 32 : 128
  for (const address of wanted.addresses) if (!addresses?.has(address)) lines.push(`addr add ${address}/${bits} dev ${device}`)
  for (const address of addresses ?? []) if (!wanted.addresses.has(address)) lines.push(`addr del ${address}/${bits} dev ${device}`)
  return lines
}

/** The kernel after the transaction. */
export function settle(kernel: Kernel, wanted: Wanted, { draining }: Transaction, before: Wanted = nothingWanted()): void {
  for (const key of kernel.servers.keys()) if (!wanted.servers.has(key)) kernel.servers.delete(key)
  for (const [key, server] of wanted.servers) if (before.servers.get(key) !== server) kernel.servers.set(key, holds(server))
  for (const { server, endpoint } of draining) kernel.servers.get(server)!.endpoints.set(endpoint, 0)
  for (const [id, entries] of wanted.sets) kernel.sets.set(id, entries)
  kernel.addresses = wanted.addresses
}

/** Everything from nothing, as text to read and to feed to the tools: the part of a golden besides the rules. */
export function fullTransaction(wanted: Wanted, family: Family): Transaction {
  return transaction({ servers: new Map(), sets: new Map(), addresses: undefined }, wanted, { family })
}
