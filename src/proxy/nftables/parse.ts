// Reads a table as `nft -s list table` prints it: sets with their elements, chains with their rules.
// What a rule means is trace.ts.

export interface ListedChain { readonly hook: string | undefined; readonly rules: readonly string[] }
export interface ListedTable {
  /** Set or map to key to value ('' in a set). */
  readonly sets: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly chains: ReadonlyMap<string, ListedChain>
}

export function parseTable(text: string): ListedTable {
  const sets = new Map<string, Map<string, string>>(), chains = new Map<string, { hook: string | undefined; rules: string[] }>()
  for (const [, kind, name, body] of text.matchAll(/^\t(set|map|chain) (\S+) \{\n([^]*?)^\t\}$/gm)) {
    if (kind === 'chain') chains.set(name!, parseChain(body!))
    else sets.set(name!, parseElements(body!))
  }
  return { sets, chains }
}

function parseChain(body: string): { hook: string | undefined; rules: string[] } {
  const lines = body.split('\n').map(line => line.trim()).filter(Boolean)
  const hook = lines[0]?.startsWith('type ') ? lines.shift() : undefined
  return { hook, rules: lines }
}

function parseElements(body: string): Map<string, string> {
  const [, list = ''] = /^\t\telements = \{([^]*)\}$/m.exec(body) ?? []
  return new Map(list.split(',').map(item => item.trim()).filter(Boolean).map(item => {
    const [key, value = ''] = splitElement(item)
    // A dynamic set tells when an element goes.
    return [key.replace(/ (timeout|expires) .*/, ''), value]
  }))
}

/** `key : value`, where an IPv6 address has colons but no spaces around them. */
const splitElement = (item: string): [string, string?] => {
  const at = item.indexOf(' : ')
  return at < 0 ? [item] : [item.slice(0, at), item.slice(at + 3)]
}
