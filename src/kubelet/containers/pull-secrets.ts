// imagePullSecrets as credentials for one image: which entries of the docker configurations match its
// registry and path, the longest match first (upstream's credentialprovider keyring). Pure.
import type { Secret } from '#api/core/v1.ts'
import type { RegistryAuth } from '../runtime/cri.ts'

interface Entry { auth?: string; username?: string; password?: string; identitytoken?: string }

export function registryAuths(image: string, secrets: readonly Secret[]): RegistryAuth[] {
  const name = normalized(image)
  return secrets.flatMap(entries).filter(({ registry }) => matches(registry, name))
    .toSorted((a, b) => b.registry.length - a.registry.length).map(({ entry }) => credentials(entry))
}

function entries({ type, data = {} }: Secret): { registry: string; entry: Entry }[] {
  const key = type === 'kubernetes.io/dockercfg' ? '.dockercfg' : '.dockerconfigjson'
  if (data[key] === undefined) return []
  try {
    const config = JSON.parse(Buffer.from(data[key], 'base64').toString('utf8')) as { auths?: Record<string, Entry> }
    const auths = key === '.dockercfg' ? config as Record<string, Entry> : config.auths ?? {}
    return Object.entries(auths).map(([url, entry]) => ({ registry: registryOf(url), entry }))
  } catch { return [] } // a broken secret gives no credentials, as upstream: the pull says what is missing
}

/** `https://index.docker.io/v1/` -> `docker.io`, `registry.example.com/team/` -> `registry.example.com/team` */
function registryOf(url: string): string {
  const bare = url.replace(/^https?:\/\//, '').replace(/\/v[12]\/?$/, '').replace(/\/$/, '')
  return bare === 'index.docker.io' || bare === 'registry-1.docker.io' ? 'docker.io' : bare
}

function normalized(image: string): string {
  const [first = '', ...rest] = image.split('/')
  if (rest.length && (/[.:]/.test(first) || first === 'localhost')) return first === 'index.docker.io' ? `docker.io/${rest.join('/')}` : image
  return rest.length ? `docker.io/${image}` : `docker.io/library/${image}`
}

/** `*` stands for one label of the host, as in `*.example.com`. */
function matches(registry: string, image: string): boolean {
  const [host = '', ...path] = registry.split('/')
  const [imageHost = '', ...imagePath] = image.split('/')
  const labels = host.split('.'), imageLabels = imageHost.split('.')
  return labels.length === imageLabels.length && labels.every((label, i) => label === '*' || label === imageLabels[i])
    && path.every((part, i) => part === imagePath[i])
}

function credentials(entry: Entry): RegistryAuth {
  if (entry.identitytoken) return { identityToken: entry.identitytoken }
  if (entry.username !== undefined) return { username: entry.username, password: entry.password ?? '' }
  const text = Buffer.from(entry.auth ?? '', 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
