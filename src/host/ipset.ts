// The IP sets of this network namespace, through the ipset command.
import { CommandError } from '#lib/errors.ts'
import { run } from './run.ts'

export interface Ipset {
  /** All sets with their entries, as `ipset save` prints them. */
  save(): Promise<string>
  /** Applies a text of `ipset restore`, line after line: when one fails, those before it have taken effect. */
  restore(text: string): Promise<void>
}

/** `undefined` where the command is missing or not allowed, or the kernel has no sets. `netns` is the path of a network namespace other than our own. */
export async function findIpset(netns?: string): Promise<Ipset | undefined> {
  try { await run(['ipset', 'list', '-n'], { netns }) } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
  return {
    save: async () => (await run(['ipset', 'save'], { netns })).stdout,
    restore: async text => { await run(['ipset', 'restore'], { netns, input: text }) },
  }
}
