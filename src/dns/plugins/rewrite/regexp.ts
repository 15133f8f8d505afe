// Regular expressions in Go's syntax (RE2), matched in time proportional to the text: all ways to match
// are followed at once (Pike's machine), so that no expression and no name can make a query slow.
// JavaScript's own backtrack. Leftmost match, first alternative preferred, as in Go and Perl.
import { compileNode, type Instruction } from './regexp-compile.ts'
import { parseRegExp, RegExpError } from './regexp-parse.ts'

export { RegExpError }

export interface Match {
  readonly index: number
  /** The whole, then the groups; undefined where a group took no part. */
  readonly groups: readonly (string | undefined)[]
  readonly named: Readonly<Record<string, string>>
}

/** A way of matching under way: where in the program, and where its groups begin and end. */
interface Thread { readonly at: number; readonly saved: readonly number[] }

export class LinearRegExp {
  readonly source: string
  readonly #program: readonly Instruction[]
  readonly #names: ReadonlyMap<string, number>
  readonly groupCount: number

  /** Throws RegExpError. */
  constructor(source: string) {
    this.source = source
    const { node, groupCount, names } = parseRegExp(source)
    this.#program = compileNode(node)
    this.#names = names
    this.groupCount = groupCount
  }

  test(text: string): boolean { return this.exec(text) !== undefined }

  exec(text: string): Match | undefined {
    let threads: Thread[] = [], found: readonly number[] | undefined
    for (let i = 0; i <= text.length; i++) {
      const seen = new Set<number>()
      const now: Thread[] = []
      for (const thread of threads) this.#follow(thread, { text, i, seen, into: now })
      if (!found) this.#follow({ at: 0, saved: [i] }, { text, i, seen, into: now })
      threads = []
      for (const { at, saved } of now) {
        const instruction = this.#program[at]!
        if (instruction.op === 'match') {
          found = [saved[0]!, i, ...saved.slice(2)]
          break // ways that come later are less wanted
        }
        if (instruction.op === 'char' && i < text.length && instruction.has(text.charCodeAt(i))) threads.push({ at: at + 1, saved })
      }
      if (found && threads.length === 0) break
    }
    return found && this.#match(text, found)
  }

  /** Through all that takes no character; each place of the program is entered once a character. */
  #follow(start: Thread, { text, i, seen, into }: { text: string; i: number; seen: Set<number>; into: Thread[] }): void {
    const stack = [start]
    for (let thread = stack.pop(); thread; thread = stack.pop()) {
      const { at, saved } = thread
      if (seen.has(at)) continue
      seen.add(at)
      const instruction = this.#program[at]!
      switch (instruction.op) {
        case 'char': case 'match': into.push(thread); break
        case 'jump': stack.push({ at: instruction.to, saved }); break
        case 'split': stack.push({ at: instruction.otherwise, saved }, { at: instruction.first, saved }); break // the last pushed goes first
        case 'save': {
          const more = saved.slice()
          more[instruction.slot] = i
          stack.push({ at: at + 1, saved: more })
          break
        }
        case 'assert': if (instruction.holds(text, i)) stack.push({ at: at + 1, saved })
      }
    }
  }

  #match(text: string, saved: readonly number[]): Match {
    const groups = Array.from({ length: this.groupCount + 1 }, (_, n) => {
      const from = saved[2 * n], to = saved[2 * n + 1]
      return from === undefined || to === undefined ? undefined : text.slice(from, to)
    })
    const named = Object.fromEntries([...this.#names].map(([name, n]) => [name, groups[n] ?? '']))
    return { index: saved[0]!, groups, named }
  }
}
