// nftables of this network namespace, through the command nft: a text is one transaction. Small
// changes go faster over netlink: nfnetlink.ts.
import { CommandError } from '#lib/errors.ts'
import { run } from './run.ts'

/** What a table holds, by name, without the contents of its sets. */
export interface TableNames {
  readonly comment: string | undefined
  readonly chains: readonly string[]
  readonly sets: readonly string[]
}

export interface Nft {
  /** Applies a text of nft's own language whole, or throws (a CommandError) and changes nothing. */
  apply(text: string): Promise<void>
  /** `table` is `ip kube-proxy`; its rules and elements as nft prints them, without counters. undefined: there is no such table. */
  list(table: string): Promise<string | undefined>
  names(table: string): Promise<TableNames | undefined>
}

/** undefined where the command is missing or older than 1.0.1, or may not read the tables. */
export async function findNft(netns?: string): Promise<Nft | undefined> {
  try {
    const [, major, minor, patch] = /v(\d+)\.(\d+)\.(\d+)/.exec((await run(['nft', '--version'], { netns })).stdout) ?? []
    if (Number(major) < 1 || (major === '1' && minor === '0' && Number(patch) < 1)) return undefined
    await run(['nft', 'list', 'tables'], { netns })
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
  return nft(netns)
}

export const nft = (netns?: string): Nft => ({
  apply: async text => { await run(['nft', '-f', '-'], { input: text, netns }) },
  list: table => unlessAbsent(async () => (await run(['nft', '-s', 'list', 'table', ...table.split(' ')], { netns })).stdout),
  names: table => unlessAbsent(async () => names((await run(['nft', '-s', '-t', 'list', 'table', ...table.split(' ')], { netns })).stdout)),
})

// nft never translates its messages.
async function unlessAbsent<T>(what: () => Promise<T>): Promise<T | undefined> {
  try { return await what() } catch (error) {
    if (error instanceof CommandError && error.stderr.includes('No such file or directory')) return undefined
    throw error
  }
}

/** Reads the headings of what `nft list table` prints. */
export function names(text: string): TableNames {
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map(match => match[1]!)
  return { comment: /^\tcomment "([^"]*)"/m.exec(text)?.[1], chains: all(/^\tchain (\S+) \{/gm), sets: all(/^\t(?:set|map) (\S+) \{/gm) }
}
