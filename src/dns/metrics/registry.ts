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
  /** Prometheus text format 0.0.4. */
  text(): string
}
