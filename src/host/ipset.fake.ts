// ipset in memory, for tests: keeps sets, refuses what the real command refuses in its words, and
// prints what `ipset save` prints, but for the order of entries and the hash's own settings. A parity
// test feeds it and the real command the same text.
import { CommandError } from '#lib/errors.ts'
import type { Ipset } from './ipset.ts'

interface HeldSet { readonly definition: string; readonly entries: Set<string> }

const entryForms: Record<string, RegExp> = {
  'hash:ip': /^[^,]+$/, 'hash:ip,port': /^[^,]+,(tcp|udp|sctp):\d+$/, 'hash:ip,port,ip': /^[^,]+,(tcp|udp|sctp):\d+,[^,/]+$/,
  // A range of length 0 is refused, and one address is printed without a length.
  'hash:ip,port,net': /^[^,]+,(tcp|udp|sctp):\d+,[^,/]+(\/([1-9]|[1-9]\d|1[01]\d|12[0-7]))?$/, 'bitmap:port': /^\d+$/,
}

export class FakeIpset implements Ipset {
  readonly #sets = new Map<string, HeldSet>()
  /** Every text that was restored, failed ones too. */
  readonly restored: string[] = []
  /** Sets that iptables rules refer to: these cannot be destroyed. */
  inUse: (name: string) => boolean = () => false
  /** Called with each line before it takes effect; may throw to fail there. */
  onLine: (line: string) => void = () => {}

  async save(): Promise<string> {
    return [...this.#sets].flatMap(([name, { definition, entries }]) => [`create ${name} ${definition}`, ...[...entries].sort().map(entry => `add ${name} ${entry}`)]).map(line => `${line}\n`).join('')
  }

  async restore(text: string): Promise<void> {
    this.restored.push(text)
    text.split('\n').forEach((line, i) => {
      if (line === '') return
      this.onLine(line)
      const why = this.#run(line)
      if (why) throw new CommandError(['ipset', 'restore'], 1, `ipset v7.17: Error in line ${i + 1}: ${why}`)
    })
  }

  #run(line: string): string | undefined {
    const [verb, name = '', ...rest] = line.split(' ')
    const set = this.#sets.get(name)
    if (name.length > 31) return `Syntax error: setname '${name}' is longer than 31 characters`
    if (verb === 'create') {
      if (set) return 'Set cannot be created: set with the same name already exists'
      if (!entryForms[rest[0]!]) return `unknown set type ${rest[0]}`
      this.#sets.set(name, { definition: rest.join(' '), entries: new Set() })
      return undefined
    }
    if (!set) return 'The set with the given name does not exist'
    const entry = rest[0] ?? ''
    if ((verb === 'add' || verb === 'del') && !entryForms[set.definition.split(' ')[0]!]!.test(entry)) return `Syntax error: ${entry}`
    if (verb === 'add' && set.entries.has(entry)) return "Element cannot be added to the set: it's already added"
    if (verb === 'del' && !set.entries.has(entry)) return "Element cannot be deleted from the set: it's not added"
    if (verb === 'destroy' && this.inUse(name)) return 'Set cannot be destroyed: it is in use by a kernel component'
    switch (verb) {
      case 'add': set.entries.add(entry); return undefined
      case 'del': set.entries.delete(entry); return undefined
      case 'flush': set.entries.clear(); return undefined
      case 'destroy': this.#sets.delete(name); return undefined
      default: return `Unknown argument: ${verb}`
    }
  }
}
