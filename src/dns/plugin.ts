// What a plugin is, and how a chain is made of several. This file and wire/ are all that a plugin
// author needs; it holds no plugin and does nothing itself.
//
// A plugin is a folder `plugins/<name>/` (the name as the Corefile writes it) with
//   README.md   Name, Description, Syntax, Examples; every ```corefile block in it is executed by a test
//   plugin.ts   `export const plugin: Plugin<Options>`; pure, like every other file but apply.ts, server.ts, main.ts
//   config.ts   `parse(directives) -> Options`: pure; throws CorefileError at a token (corefile/errors.ts)
//   apply.ts    only where sockets or files are needed; clocks, timers and randomness come with `Env`
// and its name stands in plugins.ts, whose order is the order of the chain (not the Corefile's).
//
// A query walks the chain as one synchronous call: `serve(next)` is called once, when the chain is
// composed, and returns the function that is called per query. It answers (return an Answer), passes
// on (return next(query)), asks something else (return next(query.asking(...))), or wraps what comes
// back (return after(next(query), answer => ...)). Return a Promise only when waiting is unavoidable:
// cluster names must stay synchronous. Never throw: a failure is `failure('plugin/x: what')`.
import type { Log } from '#lib/log.ts'
import type { Directive } from './corefile/syntax.ts'
import type { Metrics, Snapshot } from './metrics/registry.ts'
import type { Query } from './query.ts'
import type { EdnsOption } from './wire/edns.ts'
import type { Rr } from './wire/message.ts'
import type { Name } from './wire/name.ts'
import { rcodes } from './wire/types.ts'

/**
 * An answer of records. Names in records carry the case to be sent; a record whose owner is the
 * question's name should use `query.asked`, so that the asker's case (0x20) comes back.
 */
export interface Records {
  readonly rcode: number
  /** AA, TC, RA, AD, CD as `flags` in wire/types.ts; id, QR, opcode and RD are the server's. */
  readonly flags: number
  readonly answer: readonly Rr[]
  readonly authority: readonly Rr[]
  /** Without OPT: the server adds it. */
  readonly additional: readonly Rr[]
  /** Flags to be 0 although the query's are echoed (header). */
  readonly cleared?: number
  /** For the OPT record, when the asker sent one (extended errors, NSID). */
  readonly options?: readonly EdnsOption[]
  /** Why it failed, for the `errors` plugin; never sent. */
  readonly error?: string
  /** AXFR/IXFR over TCP: each element is the answer section of one further message. */
  readonly stream?: Iterable<readonly Rr[]> | AsyncIterable<readonly Rr[]>
}

/**
 * An answer ready for the wire: what follows the question, made once and sent many times. Names in
 * it may point (0xC0..) into the question, which starts at offset 12, so it fits only queries with
 * the same key. `pack` makes one from Records; `unpack` gives the Records again.
 */
export interface Packed {
  readonly rcode: number
  readonly flags: number
  readonly counts: readonly [answer: number, authority: number, additional: number]
  readonly body: Buffer
  /**
   * Set when the answer section is one RRset of addresses whose records all take so many bytes, and
   * so may be rotated by moving bytes (loadbalance).
   */
  readonly width?: number
  /** Rotate by so many records when sending; set by loadbalance on a copy. */
  readonly turn?: number
  readonly error?: string
}

export type Answer = Records | Packed
export type Result = Answer | Promise<Answer>
export type Serve = (query: Query) => Result

/** Sent to nobody: the server drops the query (acl's `drop`). Compare by identity. */
export const silence: Packed = { rcode: 0, flags: 0, counts: [0, 0, 0], body: Buffer.alloc(0) }

const bare = (rcode: number): Packed => ({ rcode, flags: 0, counts: [0, 0, 0], body: Buffer.alloc(0) })
export const refused = bare(rcodes.REFUSED)
export const notImplemented = bare(rcodes.NOTIMP)
/** SERVFAIL with the reason for `errors`, prefixed as CoreDNS does: `plugin/forward: no upstream answered`. */
export const failure = (error: string): Packed => ({ ...bare(rcodes.SERVFAIL), error })

export const isPacked = (answer: Answer): answer is Packed => 'body' in answer

/** Shorthand: NOERROR, no flags, whatever is given. */
export const records = (given: Partial<Records>): Records => ({ rcode: rcodes.NOERROR, flags: 0, answer: [], authority: [], additional: [], ...given })

/** Maps a result without making a Promise of one that is there already. */
export function after(result: Result, map: (answer: Answer) => Result): Result {
  return result instanceof Promise ? result.then(map) : map(result)
}

/** What a plugin says of the sockets of its server block (bind, tls, timeouts, multisocket). */
export interface ListenSettings {
  /** Addresses to listen on; none: all. */
  readonly hosts?: readonly string[]
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string; readonly clientAuth: 'nocert' | 'request' | 'require' | 'verify_if_given' | 'require_and_verify' }
  /** Milliseconds. */
  readonly timeouts?: { readonly read?: number; readonly write?: number; readonly idle?: number }
  readonly sockets?: number
  /** Queries of class CH are let in (chaos, forward); others get REFUSED. */
  readonly chaos?: boolean
}

/** The server block a plugin instance belongs to. */
export interface Block {
  /** Folded; the root is `'\0'`. A plugin without zones of its own serves these. */
  readonly zones: readonly Name[]
  /** `dns://.:53`, as CoreDNS labels its metrics (`server`); the first address of the block. */
  readonly server: string
  readonly file: string
  readonly line: number
  /** Set by `root`, else the Corefile's folder: relative files are below it. */
  readonly root: string
  readonly debug: boolean
  /** `view`'s name, for metrics. */
  readonly view: string
}

/** Everything outside that a pure plugin may use. Tests make their own (testing.ts: `testEnv`). */
export interface Env {
  readonly block: Block
  readonly log: Log
  readonly metrics: Metrics
  /** Milliseconds since 1970. */
  now(): number
  /** 0 <= n < 1. */
  random(): number
  /** Calls until the returned function is called; errors are logged. Does not keep the process alive. */
  every(ms: number, call: () => void): () => void
  later(ms: number, call: () => void): () => void
  /** Another plugin of the same server block, once all are set up: use it in start() or per query, not in setup(). */
  peer(name: string): Instance | undefined
  /** All of them, in the order of the chain (ready, metadata, transfer). */
  peers(): readonly Instance[]
  /** A query of our own through this whole server's blocks, as CoreDNS's `upstream`: CNAME targets, template, rewrite. */
  lookup(query: Query): Result
  /** HTTP for health, ready and prometheus; plugins with the same address share one listener, which outlives a reload. `undefined` is 404. */
  http(address: string, path: string, answer: () => HttpAnswer | Promise<HttpAnswer>): Promise<() => void>
  /** Reads the Corefile again, and takes it when it differs from what runs; rejects, and goes on as before, when it is wrong. */
  reload(): Promise<'reloaded' | 'same'>
  /** Ends the process (loop). */
  fatal(message: string): void
  /** This plugin's instance before a reload, if the same block had one: state may be taken over. Its stop() is called after our start(). */
  readonly previous?: Instance | undefined
  /** A line on stdout, in CoreDNS's own form (log, errors): `[INFO] ...`. Written in batches. */
  print(line: string): void
  /** The Corefile and what it imports, as read. */
  readonly sources: readonly string[]
  /** Which of several worker processes this is: 0 serves HTTP (`http` does nothing in the others), and is the only one there usually is. */
  readonly worker: number
  /** The metrics of all workers, added up (prometheus). */
  allMetrics(): Promise<readonly Snapshot[]>
  /** The plugins that are not ready yet, of all server blocks and workers (ready). */
  notReady(): Promise<readonly string[]>
}
export interface HttpAnswer { readonly code: number; readonly body: string; readonly type?: string }

export interface Instance {
  readonly name: string
  /** The link of the chain; plugins without it only configure. Called once per composition. */
  serve?(next: Serve): Serve
  /** Before the first query; all plugins are set up. A rejection refuses the whole Corefile. Do not wait for a cluster here: that is readiness. */
  start?(): void | Promise<void>
  /** After the last query, or after a reload replaced it. Free timers, sockets, watches. */
  stop?(): void | Promise<void>
  /** For `ready`: false until it can answer. Missing: always ready. */
  ready?(): boolean
  /** After each query of this block was answered (log, prometheus): `bytes` of the message sent, 0 when it was dropped. */
  observe?(query: Query, answer: Answer, sent: { readonly bytes: number; readonly ms: number }): void
  /** On SIGTERM, before sockets close: health waits here while queries are still answered. */
  lameduck?(): Promise<void>
  /** For `view`: whether this block takes the query; all of a block's must agree. */
  takes?(query: Query): boolean
  /** For `metadata`: labels (`kubernetes/namespace`) and what gives their value. */
  metadata?(query: Query): Iterable<readonly [label: string, value: () => string]>
  /** For `cache`: whether this plugin alone knows the name, so that no answer to the query may be kept, wherever it came from (kubernetes: its zones, but for reverse names that fall through). */
  owns?(query: Query): boolean
  /** For `transfer`: the zone as messages of records (SOA first and last); undefined when it is not ours; serial: for IXFR. */
  transfer?(zone: Name, serial?: number): Iterable<readonly Rr[]> | undefined
  /** For `autopath @plugin`: the search path of the asker, folded, the root as last meaning "as is"; undefined: unknown asker. */
  searchPath?(query: Query): readonly Name[] | undefined
}

export interface Plugin<Options = unknown> {
  readonly name: string
  /**
   * Pure. All directives of this name in one server block, in the Corefile's order (most plugins
   * refuse a second: `once(directives)` in corefile/errors.ts). Unknown options are CorefileErrors.
   */
  parse(directives: readonly Directive[], context: ParseContext): Options
  /** What the options say of the block's sockets. */
  listen?(options: Options): ListenSettings
  setup(options: Options, env: Env): Instance
}
export interface ParseContext {
  readonly zones: readonly Name[]
  /** Folder that relative files are below. */
  readonly root: string
}
