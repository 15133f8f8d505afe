// What a name below a cluster's zone asks for (the DNS-based service discovery specification, 2.3 to
// 2.5, and CoreDNS's parseRequest). Pure reading of labels: whether it exists is resolver.ts.
import { labels, type Name } from '../../wire/name.ts'
import { entryKey } from './catalog.ts'

export interface Request {
  readonly kind: 'apex' | 'version' | 'ns' | 'svc' | 'pod' | 'invalid'
  /** Folded; '' where the name is shorter. */
  readonly namespace: string
  readonly service: string
  readonly endpoint: string
  /** Without their underscores. */
  readonly port: string
  readonly protocol: string
  /** The Service's `entryKey`. */
  readonly key: string
}

const plain = { namespace: '', service: '', endpoint: '', port: '', protocol: '', key: '' }
const apex: Request = { ...plain, kind: 'apex' }, version: Request = { ...plain, kind: 'version' }, ns: Request = { ...plain, kind: 'ns' }, invalid: Request = { ...plain, kind: 'invalid' }
/** Names that exist because others are below them. */
const empty: Request = { ...plain, kind: 'svc' }

const bare = (label: string) => label.charCodeAt(0) === 95 ? label.slice(1) : label

/** `name` is folded and below `zone`. */
export function parseRequest(name: Name, zone: Name): Request {
  const parts = labels(name.slice(0, name.length - zone.length) + '\0' as Name)
  const kind = parts.at(-1)
  if (kind === undefined) return apex
  if (kind === 'svc' || kind === 'pod') return parseBelow(kind, parts.slice(0, -1))
  if (kind === 'dns-version' && parts.length === 1) return version
  if (kind === 'dns' && parts.length <= 2) return parts.length === 1 ? empty : parts[0] === 'ns' ? ns : invalid
  return invalid
}

/** The labels before `svc` or `pod`. */
export function parseBelow(kind: 'svc' | 'pod', parts: readonly string[]): Request {
  const count = parts.length
  if (count > 4) return invalid
  const namespace = parts[count - 1] ?? '', service = parts[count - 2] ?? ''
  return {
    kind, namespace, service, key: service && entryKey(namespace, service),
    endpoint: count === 3 ? parts[0]! : '',
    port: count === 4 ? bare(parts[0]!) : '', protocol: count === 4 ? bare(parts[1]!) : '',
  }
}
