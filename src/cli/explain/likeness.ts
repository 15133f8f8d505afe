// How alike two words are: finds the typing mistake that a person does not see.

/** Edits (a letter more, less or other) from one word to the other. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** 0 for the same word, 1 for words that have nothing in common; another case counts little. */
export function unlikeness(a: string, b: string): number {
  if (a === b) return 0
  const x = a.toLowerCase(), y = b.toLowerCase()
  if (x === y) return 0.05
  const edits = distance(x, y) / Math.max(x.length, y.length)
  // A word that begins with the other one (web, web-v2) is near however long the rest is.
  return Math.min(x.length, y.length) > 1 && (x.startsWith(y) || y.startsWith(x)) ? Math.min(edits, 0.35) : edits
}

/** The word that is most like the given one, if any is alike enough for a mistake. */
export function nearest(word: string, candidates: Iterable<string>, atMost = 0.5): string | undefined {
  let best: { word: string; cost: number } | undefined
  for (const candidate of candidates) {
    const cost = unlikeness(word, candidate)
    if (cost <= atMost && (!best || cost < best.cost)) best = { word: candidate, cost }
  }
  return best?.word
}
