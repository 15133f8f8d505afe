// The host's docker config (~/.docker/config.json): which credentials it holds for a registry, or
// which credential helper does. Pure; apply.ts reads the file and runs the helper.
import type { RegistryAuth } from '../../runtime/cri.ts'

export type Stored = { readonly kind: 'auth'; readonly auth: RegistryAuth } | { readonly kind: 'helper'; readonly program: string; readonly server: string }

type Json = Record<string, unknown>
const object = (value: unknown): Json => typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Json : {}

/** The name under which `docker login` keeps Docker Hub. */
const hub = 'https://index.docker.io/v1/'

/** In the order in which docker looks: a helper for this registry, the helper for all, the file itself. */
export function storedFor(json: string, registry: string): Stored[] {
  let config: Json
  try { config = object(JSON.parse(json)) } catch { return [] }
  const server = registry === 'docker.io' ? hub : registry
  const helpers = [object(config.credHelpers)[registry], config.credsStore].filter(isHelper)
  const stored: Stored[] = helpers.map(name => ({ kind: 'helper', program: `docker-credential-${name}`, server }))
  for (const [key, value] of Object.entries(object(config.auths))) {
    if (hostOf(key) !== hostOf(server)) continue
    const auth = authOf(object(value))
    if (auth) stored.push({ kind: 'auth', auth })
  }
  return stored
}

/** A name from a file becomes a program's name: letters, digits, dashes only. */
const isHelper = (name: unknown): name is string => typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)
const hostOf = (key: string) => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '').replace(/^(registry-1\.|index\.)?docker\.io$/, 'docker.io')

function authOf({ auth, username, password, identitytoken }: Json): RegistryAuth | undefined {
  if (typeof identitytoken === 'string' && identitytoken !== '') return { identityToken: identitytoken }
  if (typeof auth === 'string' && auth !== '') {
    const [user, ...rest] = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '').split(':')
    return rest.length > 0 ? { username: user!, password: rest.join(':') } : undefined
  }
  return typeof username === 'string' && username !== '' ? { username, password: typeof password === 'string' ? password : '' } : undefined
}

/** What a credential helper prints for `get`; undefined when it holds nothing. */
export function helperAnswer(json: string): RegistryAuth | undefined {
  let answer: Json
  try { answer = object(JSON.parse(json)) } catch { return undefined }
  if (typeof answer.Secret !== 'string' || typeof answer.Username !== 'string' || answer.Secret === '') return undefined
  return answer.Username === '<token>' ? { identityToken: answer.Secret } : { username: answer.Username, password: answer.Secret }
}
