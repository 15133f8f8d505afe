// Service account tokens: JSON Web Tokens (RFC 7519) signed with ES256 by the cluster's sa.key, bound to
// an account and perhaps a pod that must still exist. Claims are those of upstream's pkg/serviceaccount.
import { createPublicKey, sign, verify, createHash, type KeyObject } from 'node:crypto'
import type { TokenRequest } from '#api/authentication/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { time } from '#lib/clock.ts'
import type { User } from '../http/request.ts'
import { badRequest, conflict, invalid, notFound } from '../rest/errors.ts'
import { resources } from '#api/resources.ts'
import type { Storage } from '../storage/storage.ts'

export const issuer = 'https://kubernetes.default.svc.cluster.local'

interface Claims {
  iss: string; sub: string; aud: string[]; exp: number; iat: number; nbf: number; jti: string
  'kubernetes.io': {
    namespace: string
    serviceaccount: { name: string; uid: string }
    pod?: { name: string; uid: string }
    secret?: { name: string; uid: string }
    node?: { name: string; uid: string }
    warnafter?: number
  }
}

export interface TokenSettings {
  readonly storage: Storage
  readonly privateKey: KeyObject
  now(): number
  uuid(): string
}

// A pod's kubelet asks for 3607 s: upstream then lets the token live a year and only warns (WarnOnlyBoundTokenExpiration).
const warnOnly = 3607, extended = 365 * 24 * 3600
const shortest = 600, longest = 2 ** 32

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const claimsOf = (part: string): Claims => JSON.parse(Buffer.from(part, 'base64url').toString()) as Claims

export type Verified = { readonly user: User; readonly audiences: readonly string[] } | { readonly error: string }

export class Tokens {
  readonly #settings: TokenSettings
  readonly #publicKey: KeyObject
  readonly #keyId: string
  // Signatures already found good: checking one costs as much as the rest of a request.
  readonly #good = new Map<string, Claims>()

  constructor(settings: TokenSettings) {
    this.#settings = settings
    this.#publicKey = createPublicKey(settings.privateKey)
    this.#keyId = createHash('sha256').update(this.#publicKey.export({ type: 'spki', format: 'der' })).digest('base64url')
  }

  /** Answers a TokenRequest for an account: the request with its status filled in. */
  issue(account: KubeObject, request: TokenRequest): TokenRequest {
    const { audiences: wanted = [], expirationSeconds = 3600, boundObjectRef } = request.spec
    checkExpiration(expirationSeconds)
    const audiences = wanted.length > 0 ? wanted : [issuer]
    const bound = boundObjectRef ? this.#bound(account, boundObjectRef) : {}
    const now = Math.floor(this.#settings.now() / 1000)
    const extend = expirationSeconds === warnOnly && bound.pod !== undefined && audiences.includes(issuer)
    const { name, namespace = '', uid = '' } = account.metadata
    const token = this.#sign({
      aud: audiences, exp: now + (extend ? extended : expirationSeconds), iat: now, iss: issuer, jti: this.#settings.uuid(),
      'kubernetes.io': { namespace, ...bound, serviceaccount: { name, uid }, ...(extend && { warnafter: now + expirationSeconds }) },
      nbf: now, sub: `system:serviceaccount:${namespace}:${name}`,
    })
    return { ...request, apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest',
      metadata: { ...request.metadata, name, namespace, creationTimestamp: time(now * 1000) },
      spec: { ...request.spec, audiences, expirationSeconds },
      status: { token, expirationTimestamp: time((now + expirationSeconds) * 1000) } }
  }

  #bound(account: KubeObject, ref: NonNullable<TokenRequest['spec']['boundObjectRef']>): Partial<Pick<Claims['kubernetes.io'], 'pod' | 'secret'>> {
    const resource = ref.kind === 'Pod' ? resources.pods : ref.kind === 'Secret' ? resources.secrets : undefined
    if (!resource) throw badRequest(`cannot bind token to object of type ${ref.apiVersion ?? 'v1'}, Kind=${ref.kind ?? ''}`)
    const name = ref.name ?? ''
    const object = this.#settings.storage.get(`${resource.plural}/${account.metadata.namespace}/${name}`)?.value as (KubeObject & { spec?: { serviceAccountName?: string } }) | undefined
    if (!object) throw notFound(resource, name)
    if (ref.uid && ref.uid !== object.metadata.uid) throw conflict(resource, name, `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`)
    if (ref.kind === 'Pod' && object.spec?.serviceAccountName !== account.metadata.name) {
      throw badRequest(`cannot bind token for serviceaccount "${account.metadata.name}" to pod running with different serviceaccount name.`)
    }
    const bound = { name, uid: object.metadata.uid! }
    return ref.kind === 'Pod' ? { pod: bound } : { secret: bound }
  }

  #sign(claims: Claims): string {
    const signed = `${encode({ alg: 'ES256', kid: this.#keyId })}.${encode(claims)}`
    // RFC 7518 3.4: the signature is R and S, 32 bytes each, not DER.
    return `${signed}.${sign('sha256', Buffer.from(signed), { key: this.#settings.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }

  /** Whose token this is; `audiences` are those of which one must be meant, by default the API server. */
  verify(token: string, audiences: readonly string[] = [issuer]): Verified {
    const claims = this.#claims(token)
    if (typeof claims === 'string') return { error: claims }
    const now = this.#settings.now() / 1000
    if (claims.iss !== issuer) return { error: 'invalid issuer' }
    if (now >= claims.exp) return { error: 'service account token has expired' }
    if (now < claims.nbf - 10) return { error: 'token is not valid yet' }
    const meant = claims.aud.filter(audience => audiences.includes(audience))
    if (meant.length === 0) return { error: `token audiences ${JSON.stringify(claims.aud)} is invalid for the target audiences ${JSON.stringify(audiences)}` }
    return this.#alive(claims) ? { user: userOf(claims), audiences: meant } : { error: 'service account token has been invalidated' }
  }

  #claims(token: string): Claims | string {
    const known = this.#good.get(token)
    if (known) return known
    try {
      const [header = '', payload = '', signature = '', ...more] = token.split('.')
      const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg?: unknown }
      const good = more.length === 0 && alg === 'ES256' && verify('sha256', Buffer.from(`${header}.${payload}`),
        { key: this.#publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
      if (!good) return 'invalid bearer token'
      const claims = claimsOf(payload)
      if (this.#good.size >= 1000) this.#good.delete(this.#good.keys().next().value!)
      this.#good.set(token, claims)
      return claims
    } catch {
      return 'invalid bearer token'
    }
  }

  #alive({ 'kubernetes.io': { namespace, serviceaccount, pod, secret } }: Claims): boolean {
    const lives = (plural: string, object: { name: string; uid: string } | undefined) => object === undefined
      || (this.#settings.storage.get(`${plural}/${namespace}/${object.name}`)?.value as KubeObject | undefined)?.metadata.uid === object.uid
    return lives('serviceaccounts', serviceaccount) && lives('pods', pod) && lives('secrets', secret)
  }
}

function checkExpiration(seconds: number): void {
  const refuse = (why: string) => { throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '',
    [{ field: 'spec.expirationSeconds', reason: 'FieldValueInvalid', message: `Invalid value: ${seconds}: ${why}` }]) }
  if (seconds < shortest) refuse('may not specify a duration less than 10 minutes')
  if (seconds > longest) refuse('may not specify a duration larger than 2^32 seconds')
}

function userOf({ sub, jti, 'kubernetes.io': { namespace, serviceaccount, pod } }: Claims): User {
  return { name: sub, uid: serviceaccount.uid, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${jti}`],
      ...(pod && { 'authentication.kubernetes.io/pod-name': [pod.name], 'authentication.kubernetes.io/pod-uid': [pod.uid] }) } }
}
