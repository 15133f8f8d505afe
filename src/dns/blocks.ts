// From a parsed Corefile to what will be served: the zones, listeners and plugin options of each
// server block. Pure; every mistake in a Corefile is found here, before anything listens.
import { CorefileError } from './corefile/errors.ts'
import type { Directive, ServerBlock, Token } from './corefile/syntax.ts'
import { parseKey, type Key } from './corefile/zones.ts'
import type { ListenSettings, Plugin } from './plugin.ts'
import { order } from './plugins.ts'
import { showName, type Name } from './wire/name.ts'

export type PluginName = (typeof order)[number]

export interface Configured {
  readonly keys: readonly Key[]
  readonly zones: readonly Name[]
  /** The keys as written: the same block before and after a reload. */
  readonly id: string
  readonly file: string
  readonly line: number
  readonly root: string
  readonly view: string
  /** In the order of the chain. */
  readonly plugins: readonly { readonly plugin: Plugin; readonly options: unknown }[]
  readonly listen: ListenSettings
}

const known: ReadonlySet<string> = new Set(order)

/** The plugins that the Corefile names, once each; an unknown one is an error. */
export function pluginsNamed(blocks: readonly ServerBlock[]): PluginName[] {
  const names = new Set<PluginName>()
  for (const { word } of blocks.flatMap(block => block.directives)) {
    if (!known.has(word.text)) throw new CorefileError(word, `unknown plugin '${word.text}' (fairway dns -plugins lists all)`)
    names.add(word.text as PluginName)
  }
  return [...names]
}

/** `folder`: the Corefile's, which relative files are below unless `root` says another. */
export function configure(blocks: readonly ServerBlock[], { plugins, port, folder }: { plugins: ReadonlyMap<PluginName, Plugin>; port: number; folder: string }): Configured[] {
  const configured = blocks.map(block => configureBlock(block, { plugins, port, folder }))
  refuseDoubles(configured, blocks)
  return configured
}

function configureBlock(block: ServerBlock, { plugins, port, folder }: { plugins: ReadonlyMap<PluginName, Plugin>; port: number; folder: string }): Configured {
  const keys = block.keys.map(key => parseKey(key, port))
  const zones = [...new Set(keys.flatMap(key => key.zones))]
  const root = rootOf(block.directives) ?? folder
  const used = order.flatMap(name => {
    const directives = block.directives.filter(directive => directive.word.text === name)
    return directives.length ? [{ plugin: plugins.get(name)!, directives }] : []
  }).map(({ plugin, directives }) => ({ plugin, options: plugin.parse(directives, { zones, root }) }))
  const first = block.keys[0]!
  return {
    keys, zones, root, plugins: used, file: first.file, line: first.line,
    id: block.keys.map(key => key.text).join(' '),
    view: block.directives.find(directive => directive.word.text === 'view')?.args[0]?.text ?? '',
    listen: Object.assign({}, ...used.map(({ plugin, options }) => plugin.listen?.(options) ?? {})) as ListenSettings,
  }
}

const rootOf = (directives: readonly Directive[]): string | undefined => directives.find(({ word }) => word.text === 'root')?.args[0]?.text

/** Two blocks for one zone on one address would leave one of them never asked. */
function refuseDoubles(configured: readonly Configured[], blocks: readonly ServerBlock[]): void {
  const seen = new Map<string, Token>()
  for (const [index, { keys, listen, plugins }] of configured.entries()) {
    if (plugins.some(({ plugin }) => plugin.name === 'view')) continue
    for (const [at, { transport, zones, port }] of keys.entries()) {
      for (const zone of zones) for (const host of listen.hosts ?? ['']) {
        const id = `${transport}://${showName(zone)}:${port}${host && ` on ${host}`}`
        const token = blocks[index]!.keys[at]!
        const before = seen.get(id)
        if (before && port !== 0) throw new CorefileError(token, `cannot serve ${id} - it is already defined at ${before.file}:${before.line}`)
        seen.set(id, token)
      }
    }
  }
}
