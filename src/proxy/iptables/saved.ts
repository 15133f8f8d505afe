// Reads what `iptables-save` prints, as far as a full sync needs it: which chains there are, and
// which of our jumps are in place.
import type { Jump, Table } from './ruleset.ts'

export interface SavedTable {
  readonly chains: ReadonlySet<string>
  /** Lines that start with `-A`. */
  readonly rules: readonly string[]
}

export function parseSaved(text: string): SavedTable {
  const lines = text.split('\n')
  return {
    chains: new Set(lines.filter(line => line.startsWith(':')).map(line => line.slice(1, line.indexOf(' ')))),
    rules: lines.filter(line => line.startsWith('-A ')),
  }
}

/** The target of a rule or of a jump: what follows its `-j`. */
export const targetOf = (rule: string): string | undefined => / -j (\S+)/.exec(` ${rule}`)?.[1]

/** The rules by which a chain jumps where the jump says, whatever else their text is: versions of iptables print it differently. */
export const rulesOfJump = (saved: SavedTable, jump: Jump): string[] =>
  saved.rules.filter(rule => rule.startsWith(`-A ${jump.from} `) && targetOf(rule) === targetOf(jump.rule))

export const missingJumps = (saved: Readonly<Record<Table, SavedTable>>, jumps: readonly Jump[]): Jump[] =>
  jumps.filter(jump => rulesOfJump(saved[jump.table], jump).length === 0)
