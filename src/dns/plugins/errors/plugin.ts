// errors: a line for each query that failed, or one for many alike.
import type { Env, Plugin } from '../../plugin.ts'
import { showName } from '../../wire/name.ts'
import { parse, type Consolidation, type Options } from './config.ts'

const tag: Record<string, string> = { debug: 'DEBUG', info: 'INFO', warning: 'WARNING', error: 'ERROR' }

/** Counts errors alike, and says how many once their time is over. */
class Consolidated {
  readonly #rule: Consolidation
  readonly #env: Env
  #count = 0
  #stop: (() => void) | undefined
  constructor(rule: Consolidation, env: Env) { this.#rule = rule; this.#env = env }

  /** Whether the error was taken; `first` when it should be shown all the same. */
  take(error: string): 'counted' | 'first' | undefined {
    if (!this.#rule.pattern.test(error)) return undefined
    this.#stop ??= this.#env.later(this.#rule.ms, () => this.tell())
    return this.#count++ === 0 && this.#rule.showFirst ? 'first' : 'counted'
  }
  tell(): void {
    const { ms, source, level, showFirst } = this.#rule
    this.#stop?.()
    this.#stop = undefined
    // When the first was shown and no other came, all is said.
    if (this.#count > (showFirst ? 1 : 0)) this.#env.print(`[${tag[level]}] plugin/errors: ${this.#count} errors like '${source}' occurred in last ${ms / 1000}s`)
    this.#count = 0
  }
}

export const plugin: Plugin<Options> = {
  name: 'errors',
  parse,
  setup({ consolidations }, env) {
    const rules = consolidations.map(rule => new Consolidated(rule, env))
    return {
      name: 'errors',
      observe(query, { error, rcode }) {
        if (error === undefined) return
        const line = `[ERROR] plugin/errors: ${rcode} ${showName(query.name)} ${query.typeName}: ${error}`
        for (const rule of rules) {
          const taken = rule.take(error)
          if (taken === 'first') env.print(line)
          if (taken) return
        }
        env.print(line)
      },
      stop() { for (const rule of rules) rule.tell() },
    }
  },
}
