// The connection tracking table of this network namespace, through the conntrack command.
import type { Family } from '#net/ip.ts'
import { CommandError } from '#lib/errors.ts'
import { run } from './run.ts'

/** Flows that are sent to one address and answered from another. */
export interface ConntrackFlows {
  readonly destination: string
  readonly destinationPort: number
  readonly replySource: string
  readonly replySourcePort: number
}

export interface Conntrack {
  /** The lines of `conntrack -L` for UDP. */
  listUdp(family: Family): Promise<string>
  /** Deletes all UDP flows of each kind, whoever their client is; none to delete is no error. */
  deleteUdp(family: Family, flows: readonly ConntrackFlows[]): Promise<void>
}

/** `undefined` where the command is missing. */
export async function findConntrack(netns?: string): Promise<Conntrack | undefined> {
  try { await run(['conntrack', '--version'], { netns }) } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
  return {
    listUdp: async family => (await run(['conntrack', '-L', '-f', `ipv${family}`, '-p', 'udp'], { netns })).stdout,
    deleteUdp: async (family, flows) => {
      // By destination and endpoint, not by client: there may be tens of thousands of those.
      for (const argv of new Set(flows.map(deletion(family)))) await runDeletion(argv.split(' '), netns)
    },
  }
}

const deletion = (family: Family) => ({ destination, destinationPort, replySource, replySourcePort }: ConntrackFlows): string =>
  `conntrack -D -f ipv${family} -p udp --orig-dst ${destination} --orig-port-dst ${destinationPort} --reply-src ${replySource} --reply-port-src ${replySourcePort}`

async function runDeletion(argv: readonly string[], netns: string | undefined): Promise<void> {
  try { await run(argv, { netns }) } catch (error) {
    if (!(error instanceof CommandError && error.stderr.includes('0 flow entries have been deleted'))) throw error
  }
}
