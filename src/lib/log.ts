// Log lines in Kubernetes's own (klog) shape: `I1121 01:02:03.000000 component] message key="value"`.
// One line an event, values quoted, never a secret.

export interface Log {
  info(message: string, values?: Record<string, unknown>): void
  warn(message: string, values?: Record<string, unknown>): void
  /** `error` is the cause: its message is appended as err="...". */
  error(message: string, error?: unknown, values?: Record<string, unknown>): void
  /** The same log with a longer component name (`kubelet` -> `kubelet/k8s-node01`). */
  named(name: string): Log
}

const two = (n: number) => String(n).padStart(2, '0')

/** klog's header time: month, day, then the time of day in UTC to the microsecond. */
const stamp = (date: Date) =>
  `${two(date.getUTCMonth() + 1)}${two(date.getUTCDate())} ${date.toISOString().slice(11, 23)}000`

/** One log line without its newline; pure, so that its shape can be tested. */
export function logLine(level: 'I' | 'W' | 'E', now: Date, component: string, message: string, values: Record<string, unknown> = {}): string {
  const pairs = Object.entries(values).map(([key, value]) =>
    ` ${key}=${typeof value === 'number' || typeof value === 'boolean' ? value : JSON.stringify(typeof value === 'string' ? value : value instanceof Error ? value.message : value)}`)
  return `${level}${stamp(now)} ${component}] ${JSON.stringify(message)}${pairs.join('')}`
}

export function logger(component: string, write: (line: string) => void = line => { process.stderr.write(line + '\n') }): Log {
  const emit = (level: 'I' | 'W' | 'E', message: string, values?: Record<string, unknown>) =>
    write(logLine(level, new Date(), component, message, values))
  return {
    info: (message, values) => emit('I', message, values),
    warn: (message, values) => emit('W', message, values),
    error: (message, error, values) => emit('E', message, error === undefined ? values : { ...values, err: error instanceof Error ? error.message : String(error) }),
    named: name => logger(name, write),
  }
}

/** For tests, and for parts whose log nobody reads. */
export const silent: Log = { info() {}, warn() {}, error() {}, named: () => silent }
