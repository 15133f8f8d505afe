// The connection tracking table of this network namespace, through the conntrack command.
import type { Family } from '#net/ip.ts'
import { CommandError } from '#lib/errors.ts'
import { run } from './run.ts'

export interface ConntrackFlow {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

export interface Conntrack {
  /** The lines of `conntrack -L` for UDP. */
  listUdp(family: Family): Promise<string>
  /** Deletes UDP flows by their original direction; one that has gone by itself is no error. */
  deleteUdp(family: Family, flows: readonly ConntrackFlow[]): Promise<void>
}

/** `undefined` where the command is missing. */
export async function findConntrack(netns?: string): Promise<Conntrack | undefined> {
  try { await run(['conntrack', '--version'], { netns }) } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
  return {
    listUdp: async family => (await run(['conntrack', '-L', '-f', `ipv${family}`, '-p', 'udp'], { netns })).stdout,
    deleteUdp: async (family, flows) => { for (const flow of flows) await deleteFlow(family, flow, netns) },
  }
}

async function deleteFlow(family: Family, flow: ConntrackFlow, netns: string | undefined): Promise<void> {
  try {
    await run(['conntrack', '-D', '-f', `ipv${family}`, '-p', 'udp', '-s', flow.source, '-d', flow.destination,
      '--sport', String(flow.sourcePort), '--dport', String(flow.destinationPort)], { netns })
  } catch (error) {
    if (!(error instanceof CommandError && error.stderr.includes('0 flow entries have been deleted'))) throw error
  }
}
