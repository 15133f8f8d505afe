// When an RBAC rule covers a request, and when rules cover rules (pkg/apis/rbac helpers, and
// component-helpers' rbac/validation of upstream).
import type { PolicyRule } from '#api/rbac/v1.ts'
import type { RequestInfo } from '../http/requestinfo.ts'

export const all = '*'
const has = (values: readonly string[] | undefined, ...wanted: string[]): boolean =>
  values !== undefined && (values.includes(all) || wanted.some(value => values.includes(value)))

export function ruleAllows(rule: PolicyRule, info: RequestInfo): boolean {
  if (!has(rule.verbs, info.verb)) return false
  if (!info.isResource) return (rule.nonResourceURLs ?? []).some(url => urlMatches(url, info.path))
  return has(rule.apiGroups, info.group)
    && has(rule.resources, ...(info.subresource ? [`${info.resource}/${info.subresource}`, `*/${info.subresource}`] : [info.resource]))
    && (!rule.resourceNames?.length || rule.resourceNames.includes(info.name))
}

const urlMatches = (pattern: string, path: string): boolean =>
  pattern === all || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)))

/** The smallest rules that say the same: one verb on one resource (or URL) each. */
function* atoms(rule: PolicyRule): Iterable<PolicyRule> {
  for (const verb of rule.verbs) {
    for (const url of rule.nonResourceURLs ?? []) yield { verbs: [verb], nonResourceURLs: [url] }
    for (const group of rule.apiGroups ?? []) for (const resource of rule.resources ?? []) {
      if (!rule.resourceNames?.length) yield { verbs: [verb], apiGroups: [group], resources: [resource] }
      for (const name of rule.resourceNames ?? []) yield { verbs: [verb], apiGroups: [group], resources: [resource], resourceNames: [name] }
    }
  }
}

function covers(owner: PolicyRule, atom: PolicyRule): boolean {
  if (!has(owner.verbs, atom.verbs[0]!)) return false
  if (atom.nonResourceURLs) return (owner.nonResourceURLs ?? []).some(url => urlMatches(url, atom.nonResourceURLs![0]!))
  const resource = atom.resources![0]!
  const slash = resource.indexOf('/')
  return has(owner.apiGroups, atom.apiGroups![0]!) && has(owner.resources, resource, ...(slash < 0 ? [] : [`*${resource.slice(slash)}`]))
    && (!owner.resourceNames?.length || (atom.resourceNames !== undefined && owner.resourceNames.includes(atom.resourceNames[0]!)))
}

/** What of `wanted` nothing in `owned` grants. */
export const uncovered = (owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] =>
  wanted.flatMap(rule => [...atoms(rule)]).filter(atom => !owned.some(rule => covers(rule, atom)))

/** CompactString: how upstream prints a rule. */
export function ruleText(rule: PolicyRule): string {
  const list = (values: readonly string[]) => `[${values.map(value => JSON.stringify(value)).join(' ')}]`
  const parts = [['APIGroups', rule.apiGroups], ['Resources', rule.resources], ['NonResourceURLs', rule.nonResourceURLs], ['ResourceNames', rule.resourceNames], ['Verbs', rule.verbs]] as const
  return `{${parts.filter(([, values]) => values?.length).map(([name, values]) => `${name}:${list(values!)}`).join(', ')}}`
}
