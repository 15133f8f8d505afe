// Acting as somebody else (`kubectl --as`): the Impersonate- headers, for those who have the verb
// `impersonate` on what they want to be (endpoints/filters/impersonation).
import type { Authorizer } from '../authz/rbac.ts'
import type { Request, User } from '../http/request.ts'
import { badRequest } from '../rest/errors.ts'

const base = { isResource: true, verb: 'impersonate', path: '', version: 'v1', namespace: '', subresource: '' }
const account = /^system:serviceaccount:([^:]+):([^:]+)$/

/** The user that the request is to be treated as; throws 403 when the real one may not act so. */
export function impersonated({ user, headers }: Pick<Request, 'user' | 'headers'>, authorizer: Authorizer): User {
  const name = headers['impersonate-user']
  const groups = headers['impersonate-group']?.split(',').map(text => text.trim()).filter(text => text !== '') ?? []
  const extra = extraOf(headers)
  if (!name) {
    if (groups.length > 0 || extra.length > 0 || headers['impersonate-uid']) throw badRequest('requested impersonation of groups, uid or extra without impersonating a user')
    return user
  }
  const serviceAccount = account.exec(name)
  authorizer.check(user, serviceAccount
    ? { ...base, group: '', resource: 'serviceaccounts', namespace: serviceAccount[1]!, name: serviceAccount[2]! }
    : { ...base, group: '', resource: 'users', name })
  for (const group of groups) authorizer.check(user, { ...base, group: '', resource: 'groups', name: group })
  for (const [key, value] of extra) authorizer.check(user, { ...base, group: 'authentication.k8s.io', resource: 'userextras', subresource: key, name: value })
  const uid = headers['impersonate-uid']
  if (uid) authorizer.check(user, { ...base, group: 'authentication.k8s.io', resource: 'uids', name: uid })
  const own = serviceAccount && groups.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${serviceAccount[1]}`] : groups
  return { name, groups: [...new Set([...own, name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated'])],
    ...(uid && { uid }), ...(extra.length > 0 && { extra: Object.fromEntries(extra.map(([key, value]) => [key, [value]])) }) }
}

function extraOf(headers: Request['headers']): [key: string, value: string][] {
  const prefix = 'impersonate-extra-'
  return Object.entries(headers).filter(([name, value]) => name.startsWith(prefix) && value).map(([name, value]) => {
    try {
      return [decodeURIComponent(name.slice(prefix.length)), value!]
    } catch {
      throw badRequest(`the header ${name} is not percent-encoded correctly`)
    }
  })
}
