// Counters, gauges and histograms by CoreDNS's names, and their exposition as Prometheus text. Pure.
// A series is looked up once (`with`) and then costs an addition: keep what `with` returns.

export interface Counter { inc(by?: number): void; readonly value: number }
export interface Gauge { set(value: number): void; add(by: number): void; readonly value: number }
export interface Histogram { observe(value: number): void; readonly count: number; readonly sum: number }
export interface Family<Series> {
  /** The series of these label values, in the order of the family's label names; made at 0 when new. */
  with(...values: string[]): Series
}

export interface Metrics {
  /** Each is made once per process and name; asking again gives the same family. */
  counter(name: string, help: string, labels?: readonly string[]): Family<Counter>
  gauge(name: string, help: string, labels?: readonly string[]): Family<Gauge>
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): Family<Histogram>
}

/** What one process counted, as plain data: workers send theirs to the first one, which adds them up. */
export interface Snapshot {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly buckets: readonly number[]
  /** Label values to numbers: one value, or for histograms the count of each bucket, of +Inf, and the sum. */
  readonly series: readonly (readonly [values: readonly string[], numbers: readonly number[]])[]
}

class Cell implements Counter, Gauge {
  value = 0
  inc(by = 1): void { this.value += by }
  add(by: number): void { this.value += by }
  set(value: number): void { this.value = value }
  numbers(): number[] { return [this.value] }
}

class Buckets implements Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  sum = 0
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }
  observe(value: number): void {
    let i = 0
    while (i < this.#bounds.length && value > this.#bounds[i]!) i++
    this.#counts[i]!++
    this.sum += value
  }
  get count(): number { return this.#counts.reduce((sum, count) => sum + count, 0) }
  numbers(): number[] { return [...this.#counts, this.sum] }
}

class Series<T extends Cell | Buckets> implements Family<T> {
  readonly #make: () => T
  readonly all = new Map<string, { values: string[]; series: T }>()
  constructor(make: () => T) { this.#make = make }
  with(...values: string[]): T {
    const key = values.join('\0')
    let found = this.all.get(key)
    if (!found) this.all.set(key, found = { values, series: this.#make() })
    return found.series
  }
}

export class Registry implements Metrics {
  readonly #families = new Map<string, Omit<Snapshot, 'series'> & { family: Series<Cell> | Series<Buckets> }>()

  counter(name: string, help: string, labels: readonly string[] = []): Family<Counter> { return this.#cells('counter', name, help, labels) }
  gauge(name: string, help: string, labels: readonly string[] = []): Family<Gauge> { return this.#cells('gauge', name, help, labels) }
  #cells(type: 'counter' | 'gauge', name: string, help: string, labels: readonly string[]): Series<Cell> {
    let found = this.#families.get(name)
    if (!found) this.#families.set(name, found = { name, help, type, labels, buckets: [], family: new Series(() => new Cell()) })
    return found.family as Series<Cell>
  }
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): Family<Histogram> {
    let found = this.#families.get(name)
    if (!found) this.#families.set(name, found = { name, help, type: 'histogram', labels, buckets, family: new Series(() => new Buckets(buckets)) })
    return found.family as Series<Buckets>
  }

  snapshot(): Snapshot[] {
    return [...this.#families.values()].map(({ family, ...about }) =>
      ({ ...about, series: [...family.all.values()].map(({ values, series }) => [values, series.numbers()] as const) }))
  }
}

/** One of several: numbers of the same series are added. */
export function merge(snapshots: readonly (readonly Snapshot[])[]): Snapshot[] {
  const families = new Map<string, { about: Snapshot; series: Map<string, [readonly string[], number[]]> }>()
  for (const about of snapshots.flat()) {
    const into = families.get(about.name) ?? { about, series: new Map<string, [readonly string[], number[]]>() }
    families.set(about.name, into)
    for (const [values, numbers] of about.series) {
      const old = into.series.get(values.join('\0'))
      into.series.set(values.join('\0'), [values, old ? old[1].map((number, i) => number + (numbers[i] ?? 0)) : [...numbers]])
    }
  }
  return [...families.values()].map(({ about, series }) => ({ ...about, series: [...series.values()] }))
}

const escape = (text: string) => text.replace(/[\\\n"]/g, c => c === '\n' ? '\\n' : `\\${c}`)

/** Prometheus text format 0.0.4, families by name. */
export function exposition(snapshot: readonly Snapshot[]): string {
  return [...snapshot].sort((a, b) => a.name < b.name ? -1 : 1).filter(({ series }) => series.length).map(family =>
    `# HELP ${family.name} ${escape(family.help)}\n# TYPE ${family.name} ${family.type}\n${family.series.flatMap(([values, numbers]) => lines(family, values, numbers)).join('\n')}\n`).join('')
}

function lines({ name, type, labels, buckets }: Snapshot, values: readonly string[], numbers: readonly number[]): string[] {
  const pairs = labels.map((label, i) => `${label}="${escape(values[i] ?? '')}"`)
  const braces = (all: string[]) => all.length ? `{${all.join(',')}}` : ''
  if (type !== 'histogram') return [`${name}${braces(pairs)} ${numbers[0]}`]
  let count = 0
  const cumulative = [...buckets.map(String), '+Inf'].map((bound, i) => `${name}_bucket${braces([...pairs, `le="${bound}"`])} ${count += numbers[i]!}`)
  return [...cumulative, `${name}_sum${braces(pairs)} ${numbers.at(-1)}`, `${name}_count${braces(pairs)} ${count}`]
}
