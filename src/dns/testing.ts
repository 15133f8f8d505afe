// For tests of plugins: an Env without a world, a chain of one plugin, and records as zone-file text.
import { silent } from '#lib/log.ts'
import { CorefileError } from './corefile/errors.ts'
import { parseCorefile } from './corefile/parse.ts'
import { Registry } from './metrics/registry.ts'
import { unpack } from './answer.ts'
import { failure, type Answer, type Env, type Instance, type Plugin, type Serve } from './plugin.ts'
import { ourselves, Query, type Origin } from './query.ts'
import { parseName, root, type Name } from './wire/name.ts'
import { showRecord } from './wire/rdata.ts'
import { parseType, rcodeName } from './wire/types.ts'

/** A name or an exception: for literals in tests. */
export function name(text: string): Name {
  const found = parseName(text)
  if (found === undefined) throw new TypeError(`${text} is no name`)
  return found
}

export interface TestEnv extends Env {
  readonly metrics: Registry
  /** Time stands still until told; timers run when their time comes. */
  advance(ms: number): void
  /** What was logged, level first: `error: message`. */
  readonly logged: string[]
  /** What went to stdout. */
  readonly printed: string[]
}

export function testEnv(given: Partial<Env> = {}): TestEnv {
  let now = 1_700_000_000_000
  const timers = new Set<{ at: number; every: number; call: () => void }>()
  const start = (ms: number, every: number, call: () => void) => {
    const timer = { at: now + ms, every, call }
    timers.add(timer)
    return () => { timers.delete(timer) }
  }
  const logged: string[] = [], printed: string[] = []
  const note = (level: string) => (message: string, ...rest: unknown[]) => { logged.push([`${level}: ${message}`, ...rest.filter(x => x !== undefined).map(x => x instanceof Error ? x.message : JSON.stringify(x))].join(' ')) }
  const log = { ...silent, info: note('info'), warn: note('warn'), error: note('error'), named: () => log }
  const metrics = new Registry()
  return {
    block: { zones: [root], server: 'dns://.:53', file: 'Corefile', line: 1, root: '/', debug: false, view: '' },
    log, logged, printed,
    now: () => now,
    random: () => 0.5,
    every: (ms, call) => start(ms, ms, call),
    later: (ms, call) => start(ms, 0, call),
    peer: () => undefined,
    peers: () => [],
    lookup: () => failure('no upstream in this test'),
    http: () => Promise.resolve(() => {}),
    reload: () => Promise.resolve('same' as const),
    print: line => { printed.push(line) },
    fatal: message => { logged.push(`fatal: ${message}`) },
    sources: [],
    worker: 0,
    allMetrics: () => Promise.resolve(metrics.snapshot()),
    notReady: () => Promise.resolve([]),
    ...given,
    metrics,
    advance(ms) {
      const until = now + ms
      for (;;) {
        const next = [...timers].filter(timer => timer.at <= until).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        now = next.at
        if (next.every) next.at += next.every
        else timers.delete(next)
        next.call()
      }
      now = until
    },
  }
}

/** The plugin's options from the lines of a server block, as the whole program would read them. */
export function optionsOf<Options>(plugin: Plugin<Options>, lines: string, { zones = [root], env = {} as Record<string, string> } = {}): Options {
  const [block] = parseCorefile(`.:53 {\n${lines}\n}`, { file: 'Corefile', env: key => env[key], files: () => [] })
  const mine = block!.directives.filter(directive => directive.word.text === plugin.name)
  if (mine.length !== block!.directives.length) throw new CorefileError(block!.directives[0]!.word, 'another plugin stands in this test')
  return plugin.parse(mine, { zones, root: '/' })
}

/** The plugin alone in a chain; `next` answers what it passes on (default: NXDOMAIN-free failure). */
export function chainOf<Options>(plugin: Plugin<Options>, lines: string, { env = testEnv(), next = () => failure('end of the chain') }: { env?: Env; next?: Serve } = {}): { instance: Instance; serve: Serve } {
  const instance = plugin.setup(optionsOf(plugin, lines, { zones: [...env.block.zones] }), env)
  return { instance, serve: instance.serve?.(next) ?? next }
}

/** `ask('www.example.org', 'AAAA')`. */
export function ask(text: string, type = 'A', { dnssec = false, origin = {} as Partial<Origin> } = {}): Query {
  return Query.make(name(text), parseType(type)!, { dnssec, origin: { ...ourselves, protocol: 'udp', ...origin } })
}

/** An answer as text: the rcode, then the records of each section that has any. */
export function show(answer: Answer, query: Query): string {
  const { rcode, answer: records, authority, additional } = unpack(answer, query)
  const section = (title: string, all: typeof records) => all.length ? [`;${title}`, ...all.map(showRecord)] : []
  return [rcodeName(rcode), ...section('answer', records), ...section('authority', authority), ...section('additional', additional)].join('\n')
}
