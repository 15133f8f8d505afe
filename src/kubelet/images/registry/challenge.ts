// What a registry asks for when it answers 401, and where a token for it is to be had: RFC 9110
// 11.6.1 and the distribution project's token specification. Pure.
import type { RegistryAuth } from '../../runtime/cri.ts'

export interface Challenge { readonly scheme: string; readonly parameters: Readonly<Record<string, string>> }

const maxHeader = 16_384

/** Every challenge of a WWW-Authenticate header, schemes and parameter names in lower case; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = []
  // Each step takes a scheme (a word, then a blank and a parameter, or an end) or `name=value`.
  const pattern = /[\s,]*(?:([!#$%&'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~\w:/?=-]+))|([!#$%&'*+.^_`|~\w-]+)(?=[\s,]|$))/y
  while (pattern.lastIndex < Math.min(header.length, maxHeader)) {
    const match = pattern.exec(header)
    if (!match) break
    const [, name, quoted, plain, scheme] = match
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} })
    else if (challenges.length > 0) challenges.at(-1)!.parameters[name!.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain!
  }
  return challenges
}

export const basic = ({ username = '', password = '' }: RegistryAuth): string => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

export const isAnonymous = (auth: RegistryAuth): boolean => !auth.identityToken && !auth.username

export interface TokenRequest { readonly url: string; readonly method: 'GET' | 'POST'; readonly headers: Readonly<Record<string, string>>; readonly body?: string }

/** How to get the token that a Bearer challenge wants; undefined when its realm is no URL, or would carry a password of an https registry over plain http. */
export function tokenRequest({ parameters }: Challenge, { repository, auth, registryUrl }: { repository: string; auth: RegistryAuth; registryUrl: string }): TokenRequest | undefined {
  const realm = URL.canParse(parameters.realm ?? '') ? new URL(parameters.realm!) : undefined
  if (!realm || !/^https?:$/.test(realm.protocol)) return undefined
  if (realm.protocol === 'http:' && registryUrl.startsWith('https:')) return undefined
  const scope = parameters.scope || `repository:${repository}:pull`
  if (auth.identityToken) { // OAuth 2 refresh, as `docker login` stores it
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'fairway', service: parameters.service ?? '', scope, refresh_token: auth.identityToken })
    return { url: realm.href, method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form.toString() }
  }
  if (parameters.service) realm.searchParams.set('service', parameters.service)
  for (const one of scope.split(' ')) realm.searchParams.append('scope', one)
  return { url: realm.href, method: 'GET', headers: isAnonymous(auth) ? {} : { Authorization: basic(auth) } }
}
