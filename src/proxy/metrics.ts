// kube-proxy's metrics, by upstream's names, as values and as Prometheus text. Pure: times come in
// as arguments, and serving the text is server.ts.

type Labels = Readonly<Record<string, string>>
interface Description { readonly type: 'counter' | 'gauge' | 'histogram'; readonly help: string; readonly buckets?: readonly number[] }

const doubling = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i)
const steps = (from: number, step: number, count: number) => Array.from({ length: count }, (_, i) => from + step * i)

const descriptions = {
  sync_proxy_rules_duration_seconds: { type: 'histogram', help: 'SyncProxyRules latency in seconds', buckets: doubling },
  sync_full_proxy_rules_duration_seconds: { type: 'histogram', help: 'SyncProxyRules latency in seconds for full resyncs', buckets: doubling },
  sync_partial_proxy_rules_duration_seconds: { type: 'histogram', help: 'SyncProxyRules latency in seconds for partial resyncs', buckets: doubling },
  network_programming_duration_seconds: { type: 'histogram', help: 'In Cluster Network Programming Latency in seconds',
    buckets: [0.25, 0.5, ...steps(1, 1, 59), ...steps(60, 5, 12), ...steps(120, 30, 7)] },
  sync_proxy_rules_last_timestamp_seconds: { type: 'gauge', help: 'The last time proxy rules were successfully synced' },
  sync_proxy_rules_last_queued_timestamp_seconds: { type: 'gauge', help: 'The last time a sync of proxy rules was queued' },
  sync_proxy_rules_service_changes_pending: { type: 'gauge', help: 'Pending proxy rules Service changes' },
  sync_proxy_rules_service_changes_total: { type: 'counter', help: 'Cumulative proxy rules Service changes' },
  sync_proxy_rules_endpoint_changes_pending: { type: 'gauge', help: 'Pending proxy rules Endpoint changes' },
  sync_proxy_rules_endpoint_changes_total: { type: 'counter', help: 'Cumulative proxy rules Endpoint changes' },
  sync_proxy_rules_no_local_endpoints_total: { type: 'gauge', help: 'Number of services with a Local traffic policy and no endpoints' },
  sync_proxy_rules_iptables_total: { type: 'gauge', help: 'Total number of iptables rules owned by kube-proxy' },
  sync_proxy_rules_iptables_last: { type: 'gauge', help: 'Number of iptables rules written by kube-proxy in last sync' },
  sync_proxy_rules_iptables_restore_failures_total: { type: 'counter', help: 'Cumulative proxy iptables restore failures' },
  sync_proxy_rules_iptables_partial_restore_failures_total: { type: 'counter', help: 'Cumulative proxy iptables partial restore failures' },
  sync_proxy_rules_nftables_sync_failures_total: { type: 'counter', help: 'Cumulative proxy nftables sync failures' },
  sync_proxy_rules_nftables_cleanup_failures_total: { type: 'counter', help: 'Cumulative proxy nftables cleanup failures' },
  proxy_healthz_total: { type: 'counter', help: 'Cumulative proxy healthz HTTP status' },
  proxy_livez_total: { type: 'counter', help: 'Cumulative proxy livez HTTP status' },
  conntrack_reconciler_deleted_entries_total: { type: 'counter', help: 'Cumulative conntrack flows deleted by conntrack reconciler' },
  conntrack_reconciler_sync_duration_seconds: { type: 'histogram', help: 'ReconcileConntrackFlowsLatency in seconds', buckets: doubling },
} as const satisfies Record<string, Description>

export type Metric = keyof typeof descriptions

interface Series { value: number; count: number; readonly buckets: number[] }

export class Metrics {
  readonly #series = new Map<Metric, Map<string, Series>>()

  add(metric: Metric, labels: Labels = {}, by = 1): void { this.#at(metric, labels).value += by }
  set(metric: Metric, value: number, labels: Labels = {}): void { this.#at(metric, labels).value = value }

  /** One more observation of a histogram. */
  observe(metric: Metric, seconds: number, labels: Labels = {}): void {
    const series = this.#at(metric, labels)
    const description: Description = descriptions[metric]
    series.value += seconds
    series.count += 1
    description.buckets!.forEach((bound, i) => { if (seconds <= bound) series.buckets[i] = (series.buckets[i] ?? 0) + 1 })
  }

  /** Prometheus's text format 0.0.4. */
  text(): string {
    const lines: string[] = []
    for (const [metric, bySeries] of [...this.#series].sort(([a], [b]) => a < b ? -1 : 1)) {
      const description: Description = descriptions[metric]
      const name = `kubeproxy_${metric}`
      lines.push(`# HELP ${name} [ALPHA] ${description.help}`, `# TYPE ${name} ${description.type}`)
      for (const [labels, series] of bySeries) lines.push(...samples(name, labels, series, description))
    }
    return lines.join('\n') + '\n'
  }

  #at(metric: Metric, labels: Labels): Series {
    const bySeries = this.#series.get(metric) ?? this.#series.set(metric, new Map()).get(metric)!
    const key = Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(',')
    return bySeries.get(key) ?? bySeries.set(key, { value: 0, count: 0, buckets: [] }).get(key)!
  }
}

function samples(name: string, labels: string, { value, count, buckets }: Series, { type, buckets: bounds }: Description): string[] {
  const braces = (...parts: string[]) => parts.some(Boolean) ? `{${parts.filter(Boolean).join(',')}}` : ''
  if (type !== 'histogram') return [`${name}${braces(labels)} ${value}`]
  return [
    ...bounds!.map((bound, i) => `${name}_bucket${braces(labels, `le="${bound}"`)} ${buckets[i] ?? 0}`),
    `${name}_bucket${braces(labels, 'le="+Inf"')} ${count}`, `${name}_sum${braces(labels)} ${value}`, `${name}_count${braces(labels)} ${count}`,
  ]
}
