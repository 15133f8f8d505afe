// The network namespaces of this node: its own, and those of its pods, each by the cookie under which
// programs know it. Nodes that share a machine are told apart by their links: a pod's leads into its
// node's namespace.
import { closeSync, openSync, readdirSync, statSync, watch, type FSWatcher } from 'node:fs'
import { join } from 'node:path'
import { netnsCookie } from '#host/bpf.ts'
import { hasLinkInto } from '#host/nsid.ts'
import { kinds } from '../layout.ts'

/** Where container runtimes keep pods' namespaces; the second is the machine's for a proxy that is itself a pod with hostPID. */
const directories = ['/run/netns', '/proc/1/root/run/netns']

export interface Namespaces {
  /** Cookie -> kind. */
  readonly kinds: ReadonlyMap<bigint, number>
  /** To open each of them. */
  readonly paths: readonly string[]
}

interface Seen { readonly inode: number; readonly cookie: bigint | undefined; readonly checks: number }

/** How often a namespace without a link to us is looked at again: a pod gets its link a moment after its namespace. */
const maxChecks = 8

export class NodeNamespaces {
  readonly #own: string
  readonly #list: () => readonly string[]
  readonly #seen = new Map<string, Seen>()
  #watchers: FSWatcher[] = []
  #timers: NodeJS.Timeout[] = []

  /** `own`: the node's namespace. `list`: paths of namespaces that may be its pods'. */
  constructor(own = '/proc/self/ns/net', list: () => readonly string[] = named) { this.#own = own; this.#list = list }

  /** Throws when not even the node's own can be told. */
  read(): Namespaces {
    const paths = [this.#own], found = new Map([[netnsCookie(this.#own), kinds.node as number]])
    const own = openSync(this.#own, 'r')
    try {
      const listed = new Set(this.#list())
      for (const path of this.#seen.keys()) if (!listed.has(path)) this.#seen.delete(path)
      for (const path of listed) {
        const cookie = this.#podCookie(path, own)
        if (cookie === undefined || found.has(cookie)) continue
        found.set(cookie, kinds.pod)
        paths.push(path)
      }
    } finally { closeSync(own) }
    return { kinds: found, paths }
  }

  #podCookie(path: string, own: number): bigint | undefined {
    try {
      const { ino: inode } = statSync(path)
      const seen = this.#seen.get(path)
      const known = seen?.inode === inode ? seen : undefined
      if (known && (known.cookie !== undefined || known.checks >= maxChecks)) return known.cookie
      const cookie = hasLinkInto(path, own) ? netnsCookie(path) : undefined
      this.#seen.set(path, { inode, cookie, checks: (known?.checks ?? 0) + 1 })
      return cookie
    } catch { return undefined } // gone, or not a namespace yet
  }

  /** Calls `changed` when a namespace may have come or gone, a few times over the next second. */
  watch(changed: () => void): void {
    for (const directory of directories) {
      try {
        const watcher = watch(directory, () => this.#soon(changed)).on('error', () => {})
        watcher.unref()
        this.#watchers.push(watcher)
      } catch { /* none there: the check every sync period does */ }
    }
  }

  #soon(changed: () => void): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers = [2, 20, 100, 1000].map(ms => setTimeout(changed, ms).unref())
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#watchers = []
  }
}

function named(): string[] {
  return directories.flatMap(directory => {
    try { return readdirSync(directory).map(name => join(directory, name)) } catch { return [] }
  })
}
