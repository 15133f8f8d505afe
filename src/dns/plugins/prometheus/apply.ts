// What the operating system says of this process, by the names of every Prometheus client.
import { readdirSync } from 'node:fs'
import type { Metrics } from '../../metrics/registry.ts'

export function processMetrics(metrics: Metrics): void {
  const { rss } = process.memoryUsage(), { user, system } = process.cpuUsage()
  const set = (name: string, help: string, value: number) => metrics.gauge(name, help).with().set(value)
  set('process_resident_memory_bytes', 'Resident memory size in bytes.', rss)
  set('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', Math.round(performance.timeOrigin / 1000))
  const cpu = metrics.counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.').with()
  cpu.inc((user + system) / 1e6 - cpu.value)
  try { set('process_open_fds', 'Number of open file descriptors.', readdirSync('/proc/self/fd').length) } catch { /* no /proc here */ }
}
