// One query on its way through the chain: the bytes as they came, and what is read from them when
// asked. Made once per packet on the hot path, so everything that not every query needs is lazy.
import type {} from './wire/bytes.ts'
import { EdnsView, type Edns } from './wire/edns.ts'
import type { Name } from './wire/name.ts'
import { fold } from './wire/name.ts'
import { className, typeName } from './wire/types.ts'

/** Who asks, and over what. One object per TCP connection; per packet over UDP. */
export interface Origin {
  readonly protocol: 'udp' | 'tcp'
  /** dns, tls or https: how the bytes came. */
  readonly transport: 'dns' | 'tls' | 'https'
  readonly address: string
  readonly port: number
  readonly family: 4 | 6
  readonly local: { readonly address: string; readonly port: number }
}

/** For queries of our own. */
export const ourselves: Origin = { protocol: 'tcp', transport: 'dns', address: '127.0.0.1', port: 0, family: 4, local: { address: '127.0.0.1', port: 0 } }

export class Query {
  /** The whole message as received; its question is complete and uncompressed (the server has looked). */
  readonly message: Buffer
  /** Folded name, type and class, as the wire has them, one char a byte: the key of precomputed answers. */
  readonly key: string
  /** Offset behind the question. */
  readonly end: number
  readonly origin: Origin
  /** The most bytes an answer may have: EDNS0's size within the server's, 512 without, 65535 over TCP. `bufsize` lowers it. */
  size = 65535
  /** The zone of the server block that matched, folded. */
  zone = '\0' as Name
  /** `dns://.:53`: the listener, as metrics label it. */
  server = ''
  /** The plugin that was called last, which is the one that answered; for metrics. */
  reached = ''
  /** The query this one was made of by `asking` or `carrying`. */
  readonly from: Query | undefined
  #edns: Edns | undefined | null = null
  #name: Name | undefined
  #metadata: Map<string, () => string> | undefined

  constructor(message: Buffer, key: string, end: number, origin: Origin, from?: Query) {
    this.from = from
    this.message = message
    this.key = key
    this.end = end
    this.origin = origin
  }

  /** A query of our own: RD set, EDNS0 only when asked for. */
  static make(name: Name, type: number, { class: number = 1, origin = ourselves, id = 0, dnssec = false, recursion = true }: { class?: number; origin?: Origin; id?: number; dnssec?: boolean; recursion?: boolean } = {}): Query {
    const head = Buffer.alloc(12)
    head.writeUInt16BE(id, 0)
    head[2] = recursion ? 1 : 0
    head[5] = 1
    const opt = dnssec ? Buffer.from([0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]) : Buffer.alloc(0)
    head[11] = dnssec ? 1 : 0
    const ask = Buffer.from(`${name}${String.fromCharCode(type >> 8, type & 255, number >> 8, number & 255)}`, 'latin1')
    return new Query(Buffer.concat([head, ask, opt]), fold(name) + ask.latin1Slice(name.length), 12 + ask.length, origin)
  }

  get id(): number { return this.message.readUInt16BE(0) }
  get type(): number { return this.message.readUInt16BE(this.end - 4) }
  get class(): number { return this.message.readUInt16BE(this.end - 2) }
  /** The header's flags as they came (`flags` in wire/types.ts). */
  get flags(): number { return this.message.readUInt16BE(2) }
  /** Folded. */
  get name(): Name { return this.#name ??= this.key.slice(0, -4) as Name }
  /** As the asker wrote it: 0x20 case kept. */
  get asked(): Name { return this.message.latin1Slice(12, this.end - 4) as Name }
  /** The OPT record, if the asker sent one. */
  get edns(): Edns | undefined { return this.#edns === null ? this.#edns = EdnsView.read(this.message, this.end) : this.#edns }
  /** DNSSEC records wanted (the DO bit). */
  get dnssec(): boolean { return this.edns?.dnssec ?? false }
  get typeName(): string { return typeName(this.type) }
  get className(): string { return className(this.class) }

  /** The same asker and options with another question (rewrite, autopath, dns64); omitted parts stay. */
  asking({ name = this.asked, type = this.type, class: number = this.class }: { name?: Name; type?: number; class?: number }): Query {
    const ask = Buffer.from(name + String.fromCharCode(type >> 8, type & 255, number >> 8, number & 255), 'latin1')
    const message = Buffer.concat([this.message.subarray(0, 12), ask, this.message.subarray(this.end)])
    return this.#like(new Query(message, fold(name) + ask.latin1Slice(name.length), 12 + ask.length, this.origin, this))
  }

  /** The same question with other bytes behind it (rewrite edns0) or another header; the question must be unchanged. */
  carrying(message: Buffer): Query {
    return this.#like(new Query(message, this.key, this.end, this.origin, this))
  }
  #like(other: Query): Query {
    other.size = this.size
    other.zone = this.zone
    other.server = this.server
    other.#metadata = this.#metadata
    return other
  }

  /** What the `metadata` plugin gathered: `kubernetes/namespace`; undefined without that plugin. */
  metadata(label: string): string | undefined { return this.#metadata?.get(label)?.() }
  addMetadata(label: string, value: () => string): void { (this.#metadata ??= new Map()).set(label, value) }
}
