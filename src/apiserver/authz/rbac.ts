// Role-based access control straight from the storage: bindings are indexed by subject and the index is
// made again after any of them has changed. Group system:masters may do everything.
import type { SubjectRulesReviewStatus } from '#api/authorization/v1.ts'
import { matchesSelector, type KubeObject } from '#api/object.ts'
import type { ClusterRole, PolicyRule, RoleBinding, RoleRef, Subject } from '#api/rbac/v1.ts'
import { resources } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import type { User } from '../http/request.ts'
import type { RequestInfo } from '../http/requestinfo.ts'
import { forbidden } from '../rest/errors.ts'
import type { Storage } from '../storage/storage.ts'
import { ruleAllows, ruleText, uncovered } from './rules.ts'

export interface Decision { readonly allowed: boolean; readonly reason: string }

interface Grant { readonly binding: RoleBinding; readonly description: string }
/** By subject (`User x`, `Group x`), then by the binding's namespace, '' for the whole cluster. */
type Index = ReadonlyMap<string, ReadonlyMap<string, readonly Grant[]>>

const masters = 'system:masters'
const watched = ['clusterrolebindings', 'rolebindings', 'clusterroles', 'roles']
const group = 'rbac.authorization.k8s.io'

export class Authorizer {
  readonly #storage: Storage
  readonly #stops: (() => void)[]
  #index: Index | undefined
  constructor(storage: Storage) {
    this.#storage = storage
    this.#stops = watched.map(plural => storage.watch(`${plural}/`, storage.revision, () => { this.#index = undefined }))
  }
  close(): void { for (const stop of this.#stops) stop() }

  authorize(user: User, info: RequestInfo): Decision {
    if (user.groups.includes(masters)) return { allowed: true, reason: '' }
    const missing: string[] = []
    for (const { binding, description } of this.#grants(user, info.isResource ? info.namespace : '')) {
      const rules = this.#rulesOf(binding.roleRef, binding.metadata.namespace)
      if (!rules) missing.push(`${binding.roleRef.kind.toLowerCase()}.${group} ${JSON.stringify(binding.roleRef.name)} not found`)
      else if (rules.some(rule => ruleAllows(rule, info))) return { allowed: true, reason: `RBAC: allowed by ${description}` }
    }
    return { allowed: false, reason: missing.length === 0 ? '' : `RBAC: ${missing.length === 1 ? missing[0]! : `[${missing.join(', ')}]`}` }
  }

  /** Throws the 403 answer when the user may not do it. */
  check(user: User, info: RequestInfo): void {
    const { allowed, reason } = this.authorize(user, info)
    if (allowed) return
    const why = sentence(user, info) + (reason && `: ${reason}`)
    if (info.isResource) throw forbidden({ group: info.group, plural: info.resource }, info.name, why)
    throw new StatusError(403, 'Forbidden', `forbidden: ${why}`, {})
  }

  /** A user may not write roles with more rights than they have, nor bind such roles (unless `escalate`, `bind`). */
  checkEscalation(user: User, info: RequestInfo, draft: KubeObject, old?: KubeObject): void {
    if (info.group !== group || user.groups.includes(masters)) return
    const refuse = (rules: readonly PolicyRule[]) => {
      const missing = uncovered(this.#allRules(user, info.namespace), rules)
      if (missing.length === 0) return
      const groups = user.groups.map(name => JSON.stringify(name)).join(' ')
      throw forbidden({ group, plural: info.resource }, draft.metadata.name,
        `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${missing.map(ruleText).join('\n')}`)
    }
    const may = (verb: string, resource: string, name: string) => this.authorize(user, { ...info, verb, resource, name, subresource: '' }).allowed
    if (info.resource === 'roles' || info.resource === 'clusterroles') {
      const unchanged = old && JSON.stringify((old as ClusterRole).rules) === JSON.stringify((draft as ClusterRole).rules)
      if (!unchanged && !may('escalate', info.resource, draft.metadata.name)) refuse((draft as ClusterRole).rules ?? [])
      return
    }
    const { roleRef } = draft as RoleBinding
    if (roleRef && !may('bind', roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles', roleRef.name)) {
      refuse(this.#rulesOf(roleRef, info.namespace || undefined) ?? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }])
    }
  }

  rulesReview(user: User, namespace: string): SubjectRulesReviewStatus {
    const rules = user.groups.includes(masters)
      ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }] : this.#allRules(user, namespace)
    return {
      resourceRules: rules.filter(rule => !rule.nonResourceURLs?.length).map(({ nonResourceURLs, ...rule }: PolicyRule) => rule),
      nonResourceRules: rules.filter(rule => rule.nonResourceURLs?.length).map(({ verbs, nonResourceURLs }) => ({ verbs, ...(nonResourceURLs && { nonResourceURLs }) })),
      incomplete: false,
    }
  }

  #allRules(user: User, namespace: string): PolicyRule[] {
    return [...this.#grants(user, namespace)].flatMap(({ binding }) => [...this.#rulesOf(binding.roleRef, binding.metadata.namespace) ?? []])
  }

  *#grants(user: User, namespace: string): Iterable<Grant> {
    const index = this.#index ??= this.#makeIndex()
    for (const subject of [`User ${user.name}`, ...user.groups.map(name => `Group ${name}`)]) {
      const grants = index.get(subject)
      yield* grants?.get('') ?? []
      if (namespace) yield* grants?.get(namespace) ?? []
    }
  }

  #makeIndex(): Index {
    const index = new Map<string, Map<string, Grant[]>>()
    for (const plural of ['clusterrolebindings', 'rolebindings']) {
      for (const { value } of this.#storage.list(`${plural}/`).entries) {
        const binding = value as RoleBinding
        const { name, namespace = '' } = binding.metadata
        for (const subject of binding.subjects ?? []) {
          const key = subjectKey(subject, namespace)
          const places = index.get(key) ?? new Map<string, Grant[]>()
          index.set(key, places)
          places.set(namespace, [...places.get(namespace) ?? [], { binding, description: describe(binding, subject, name) }])
        }
      }
    }
    return index
  }

  #rulesOf(ref: RoleRef, namespace: string | undefined): readonly PolicyRule[] | undefined {
    const key = ref.kind === 'ClusterRole' ? `${resources.clusterroles.plural}/${ref.name}` : `${resources.roles.plural}/${namespace}/${ref.name}`
    const role = this.#storage.get(key)?.value as ClusterRole | undefined
    if (!role?.aggregationRule) return role && (role.rules ?? [])
    // Upstream's controller writes the union into the role; here it is read when it is asked for.
    const selectors = role.aggregationRule.clusterRoleSelectors ?? []
    return this.#storage.list('clusterroles/').entries.map(entry => entry.value as ClusterRole)
      .filter(other => other !== role && selectors.some(selector => matchesSelector(selector, other.metadata.labels))).flatMap(other => other.rules ?? [])
  }
}

const subjectKey = ({ kind, name, namespace }: Subject, bindingNamespace: string): string =>
  kind === 'ServiceAccount' ? `User system:serviceaccount:${namespace || bindingNamespace}:${name}` : `${kind} ${name}`

function describe({ kind, metadata, roleRef }: RoleBinding, subject: Subject, name: string): string {
  const who = `${subject.kind} ${JSON.stringify(subject.namespace ? `${subject.name}/${subject.namespace}` : subject.name)}`
  return `${kind} ${JSON.stringify(metadata.namespace ? `${name}/${metadata.namespace}` : name)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${who}`
}

/** responsewriters.forbiddenMessage. */
function sentence(user: User, info: RequestInfo): string {
  if (!info.isResource) return `User ${JSON.stringify(user.name)} cannot ${info.verb} path ${JSON.stringify(info.path)}`
  const resource = info.subresource ? `${info.resource}/${info.subresource}` : info.resource
  const place = info.namespace ? `in the namespace ${JSON.stringify(info.namespace)}` : 'at the cluster scope'
  return `User ${JSON.stringify(user.name)} cannot ${info.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(info.group)} ${place}`
}
