// A built-in image's layer as a value: what each file is, before anything is written. Pure;
// apply.ts beside it turns the value into a directory.
import type { ImageConfig } from '../store.ts'
import type { Reference } from '../reference.ts'
import type { Versions } from '../versions.ts'

/** Paths are absolute in the image; parent directories come by themselves (0755). */
export type Entry =
  | { readonly kind: 'dir'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly text: string; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  /** A copy of a file of this machine; nothing when it is not there. */
  | { readonly kind: 'copy'; readonly path: string; readonly from: string }
  | { readonly kind: 'fifo'; readonly path: string }

/** What of this machine a layer depends on. */
export interface Machine {
  /** os-release's NAME without `GNU/Linux`: `Debian`, `Ubuntu`. */
  readonly distribution: string
  /** nginx's version when /usr/sbin/nginx is there. */
  readonly nginx: string | undefined
  readonly busybox: { readonly version: string; readonly applets: readonly string[] } | undefined
  /** Applets that the machine also has in /usr/sbin, which comes before /usr/bin in PATH. */
  readonly sbin: readonly string[]
  /** /bin, /lib64, ...: the top-level links into usr. */
  readonly links: readonly (readonly [name: string, target: string])[]
  /** /etc/alternatives without manual pages. */
  readonly alternatives: readonly (readonly [name: string, target: string])[]
  /** Whether other users than 0 exist in this user namespace. */
  readonly manyUsers: boolean
}

/** Which parts of Fairway's checkout an image needs; all read-only. */
export type Needs = 'nothing' | 'program' | 'program and modules'

export interface Builtin {
  readonly name: string
  /** The name under which it is listed before anyone has asked for another. */
  readonly shown: string
  /** Repositories (`docker.io/library/nginx`) and the tags that exist there. */
  readonly sources: readonly { readonly repositories: readonly string[]; readonly versions: Versions }[]
  /** Names the version of the source's layout, only where the layer depends on the tag. */
  readonly layer: (machine: Machine, reference: Reference) => readonly Entry[]
  readonly config: (machine: Machine, reference: Reference) => Partial<ImageConfig>
  readonly needs: (machine: Machine) => Needs
  /** What really runs: `Debian's nginx 1.22.1`. */
  readonly standIn: (machine: Machine) => string
}

export const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export const file = (path: string, text: string, mode = 0o644): Entry => ({ kind: 'file', path, text, mode })
export const script = (path: string, text: string): Entry => file(path, `#!/bin/sh\n${text}\n`, 0o755)
export const link = (path: string, target: string): Entry => ({ kind: 'link', path, target })
export const dir = (path: string, mode = 0o755): Entry => ({ kind: 'dir', path, mode })

/** Where Fairway's own files stand inside an image, and the mount points for them. */
export const inside = { node: '/opt/fairway/node', src: '/opt/fairway/src', modules: '/opt/fairway/node_modules', manifest: '/opt/fairway/package.json', cache: '/opt/fairway/cache' }
export const mountPoints: readonly Entry[] = [
  file(inside.node, ''), file(inside.manifest, ''), dir(inside.src), dir(inside.modules), dir(inside.cache),
]

/** A shell line that becomes one of Fairway's programs: `exec ... agnhost "$@"`. */
export const becomeFairway = (...words: string[]): string =>
  `export NODE_COMPILE_CACHE=${inside.cache} NODE_COMPILE_CACHE_PORTABLE=1; exec ${inside.node} --disable-warning=ExperimentalWarning ${inside.src}/main.ts ${words.join(' ')} "$@"`
