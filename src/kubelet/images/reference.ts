// Image references as distribution's `reference` package reads them: which registry, repository,
// tag and digest a short name stands for, and upstream's words when it is none. Pure.

/** A normalised reference. `tag` is `latest` where neither tag nor digest was given. */
export interface Reference {
  /** `docker.io`, `registry.k8s.io`, `localhost:5000`. */
  readonly registry: string
  /** Below the registry: `library/nginx`. */
  readonly repository: string
  readonly tag?: string
  /** `sha256:<hex>`. */
  readonly digest?: string
}

export class ReferenceError extends Error {}

// The grammar of distribution/reference/regexp.go. Every quantifier is over disjoint characters,
// and the length is bounded first, so matching stays linear.
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domain = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const whole = new RegExp(`^((?:${domain}/)?${pathComponent}(?:/${pathComponent})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`)

const maxName = 255
const maxReference = maxName + 1 + 128 + 1 + 256

/** Throws ReferenceError in distribution's words (ParseNormalizedNamed, then TagNameOnly). */
export function parseReference(text: string): Reference {
  if (text.length > maxReference) throw new ReferenceError(`repository name must not be more than ${maxName} characters`)
  if (/^[a-f0-9]{64}$/.test(text)) throw new ReferenceError(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  const [registry, remainder] = splitDomain(text)
  const name = /^[^:@]*/.exec(remainder)![0]
  if (name.toLowerCase() !== name) throw new ReferenceError(`invalid reference format: repository name (${name}) must be lowercase`)
  const match = whole.exec(`${registry}/${remainder}`)
  if (!match) throw new ReferenceError('invalid reference format')
  const [, full, tag, digest] = match
  if (full!.length > maxName) throw new ReferenceError(`repository name must not be more than ${maxName} characters`)
  if (digest !== undefined) checkDigest(digest)
  return { registry, repository: full!.slice(registry.length + 1),
    ...(tag !== undefined ? { tag } : digest === undefined && { tag: 'latest' }), ...(digest !== undefined && { digest }) }
}

/** distribution's splitDockerDomain: the first part is a registry when it looks like a host. */
function splitDomain(text: string): [registry: string, remainder: string] {
  const slash = text.indexOf('/')
  const first = text.slice(0, Math.max(slash, 0))
  const isHost = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  let registry = isHost ? first : 'docker.io'
  let remainder = isHost ? text.slice(slash + 1) : text
  if (registry === 'index.docker.io') registry = 'docker.io'
  if (registry === 'docker.io' && !remainder.includes('/')) remainder = `library/${remainder}`
  return [registry, remainder]
}

const digestLength: Record<string, number> = { sha256: 64, sha384: 96, sha512: 128 }

function checkDigest(digest: string): void {
  const [algorithm, hex] = digest.split(':') as [string, string]
  const length = digestLength[algorithm]
  if (length === undefined) throw new ReferenceError('unsupported digest algorithm')
  if (hex.length !== length) throw new ReferenceError('invalid checksum digest length')
  if (hex.toLowerCase() !== hex) throw new ReferenceError('invalid checksum digest format')
}

/** The whole name: `docker.io/library/nginx:1.17.2`. */
export const canonical = (reference: Reference): string => `${reference.registry}/${reference.repository}${suffix(reference)}`

/** As a person writes it: `nginx:1.17.2`, `dyrnq/controller:v1.1.0`, `registry.k8s.io/pause:3.9`. */
export function familiar(reference: Reference): string {
  const { registry, repository } = reference
  const name = registry !== 'docker.io' ? `${registry}/${repository}` : repository.replace(/^library\/(?=[^/]+$)/, '')
  return name + suffix(reference)
}

const suffix = ({ tag, digest }: Reference) => `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
