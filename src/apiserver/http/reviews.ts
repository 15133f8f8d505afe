// The kinds that are only ever created and never stored: who am I, may I, is this token good.
import type { SelfSubjectReview, TokenReview, UserInfo } from '#api/authentication/v1.ts'
import type { ResourceAttributes, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview, SubjectAccessReviewSpec } from '#api/authorization/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { groupVersion, type Resource } from '#api/resources.ts'
import { invalid, methodNotSupported } from '../rest/errors.ts'
import { rawObject } from './answer.ts'
import type { Api } from './api.ts'
import { decodeObject, kindOf } from './body.ts'
import type { Request, Response, User } from './request.ts'
import type { RequestInfo } from './requestinfo.ts'

type Review = (api: Api, user: User, body: never) => object | Promise<object>

const reviews: Readonly<Record<string, Review>> = {
  SelfSubjectReview: (_api, user, body: SelfSubjectReview) => ({ ...body, status: { userInfo: userInfo(user) } }),
  TokenReview: tokenReview,
  SubjectAccessReview: (api, _user, body: SubjectAccessReview) => ({ ...body, status: accessStatus(api, subjectOf(body.spec), body.spec) }),
  LocalSubjectAccessReview: (api, _user, body: SubjectAccessReview) => ({ ...body, status: accessStatus(api, subjectOf(body.spec), body.spec) }),
  SelfSubjectAccessReview: (api, user, body: SelfSubjectAccessReview) => ({ ...body, status: accessStatus(api, user, body.spec) }),
  SelfSubjectRulesReview: (api, user, body: SelfSubjectRulesReview) => ({ ...body, status: api.authorizer.rulesReview(user, body.spec.namespace ?? '') }),
}

/** Undefined when the URL names no review. */
export async function serveReview(api: Api, request: Request, info: RequestInfo): Promise<Response | undefined> {
  const resource = api.resources.find(r => r.createOnly && r.plural === info.resource && r.group === info.group && r.version === info.version)
  const review = resource && reviews[resource.kind]
  if (!resource || !review) return undefined
  if (info.verb !== 'create') throw methodNotSupported(resource, info.verb)
  const draft = decodeObject(request, kindOf(resource), () => {}) as KubeObject & { spec?: object }
  if (resource.kind !== 'SelfSubjectReview') draft.spec ??= {}
  checkSpec(resource, draft.spec as SubjectAccessReviewSpec | undefined)
  const answer = await review(api, request.user, draft as never)
  return rawObject(request, { ...answer, apiVersion: groupVersion(resource), kind: resource.kind }, 201)
}

function checkSpec(resource: Resource, spec: SubjectAccessReviewSpec | undefined): void {
  if (!resource.kind.endsWith('AccessReview')) return
  const refuse = (field: string, message: string) => { throw invalid(resource, '', [{ field, reason: 'FieldValueInvalid', message: `Invalid value: null: ${message}` }]) }
  if (spec?.resourceAttributes && spec.nonResourceAttributes) refuse('spec.nonResourceAttributes', 'cannot be specified in combination with resourceAttributes')
  if (!spec?.resourceAttributes && !spec?.nonResourceAttributes) refuse('spec.resourceAttributes', 'exactly one of nonResourceAttributes or resourceAttributes must be specified')
}

const subjectOf = ({ user = '', groups = [] }: SubjectAccessReviewSpec): User => ({ name: user, groups })

function accessStatus(api: Api, user: User, { resourceAttributes, nonResourceAttributes }: Pick<SubjectAccessReviewSpec, 'resourceAttributes' | 'nonResourceAttributes'>) {
  const info = resourceAttributes ? resourceInfo(resourceAttributes)
    : { ...resourceInfo({}), isResource: false, verb: nonResourceAttributes?.verb ?? '', path: nonResourceAttributes?.path ?? '' }
  const { allowed, reason } = api.authorizer.authorize(user, info)
  return { allowed, ...(reason && { reason }) }
}

const resourceInfo = ({ namespace = '', verb = '', group = '', version = '', resource = '', subresource = '', name = '' }: ResourceAttributes): RequestInfo =>
  ({ isResource: true, path: '', namespace, verb, group, version, resource, subresource, name })

const userInfo = ({ name, groups, uid, extra }: User): UserInfo =>
  ({ username: name, groups: [...groups], ...(uid && { uid }), ...(extra && { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }) })

function tokenReview(api: Api, _user: User, body: TokenReview): TokenReview {
  const audiences = body.spec.audiences?.length ? body.spec.audiences : undefined
  const verified = api.tokens.verify(body.spec.token ?? '', audiences)
  return { ...body, status: 'error' in verified ? { user: {}, error: verified.error }
    : { authenticated: true, user: userInfo(verified.user), audiences: [...verified.audiences] } }
}
