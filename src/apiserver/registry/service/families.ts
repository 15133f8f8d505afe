// IP families of a Service on a cluster that has one family (initIPFamilyFields), and the rules that tie
// clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy together.
import type { Service } from '#api/core/v1.ts'
import { parseIp } from '#net/ip.ts'
import { at, duplicate, each, invalid, invalids, notSupported, oneOf, required } from '../fields.ts'
import { ipAddress } from '../names.ts'
import type { FieldError, ServerSettings } from '../strategy.ts'
import { isHeadless, needsClusterIP, none } from './needs.ts'

const familyName = (family: 4 | 6) => `IPv${family}`
const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack']

/** Fills in `ipFamilies` and `ipFamilyPolicy`, or says why they cannot be had here. */
export function initFamilies(draft: Service, _old: Service | undefined, { serviceCidr }: ServerSettings): FieldError[] {
  if (!needsClusterIP(draft)) return []
  const errors = validateClusterIPFields(draft)
  if (errors.length > 0) return errors
  const { spec } = draft
  const own = familyName(serviceCidr.base.family)
  if (isHeadless(draft) && Object.keys(spec.selector ?? {}).length === 0) {
    // Nobody but the user makes its endpoints: any family may come.
    spec.ipFamilyPolicy ??= 'RequireDualStack'
    if (!spec.ipFamilies?.length) spec.ipFamilies = spec.ipFamilyPolicy === 'SingleStack' ? [own] : [own, own === 'IPv4' ? 'IPv6' : 'IPv4']
    return []
  }
  const dual = spec.ipFamilyPolicy !== undefined && spec.ipFamilyPolicy !== 'SingleStack'
  const several = (spec.clusterIPs?.length ?? 0) > 1 ? 'cluster IPs' : (spec.ipFamilies?.length ?? 0) > 1 ? 'IP families' : undefined
  if (several && !dual) return [invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, `must be RequireDualStack or PreferDualStack when multiple ${several} are specified`)]
  const families = spec.ipFamilies?.length ? spec.ipFamilies : familiesOf(spec.clusterIPs) ?? [own]
  const foreign = families.flatMap((family, index) => family === own ? [] : [invalid(at('spec.ipFamilies', index), family, 'not configured on this cluster')])
  if (spec.ipFamilyPolicy === 'RequireDualStack') foreign.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'))
  if (foreign.length > 0) return foreign
  spec.ipFamilies = [...families]
  spec.ipFamilyPolicy ??= 'SingleStack'
  return []
}

function familiesOf(ips: readonly string[] | undefined): string[] | undefined {
  const given = (ips ?? []).filter(ip => ip !== none)
  return given.length === 0 ? undefined : given.map(ip => familyName(parseIp(ip)!.family))
}

/** ValidateServiceClusterIPsRelatedFields. */
export function validateClusterIPFields({ spec }: Service): FieldError[] {
  const { clusterIP, clusterIPs = [], ipFamilies = [] } = spec
  const errors: FieldError[] = []
  if (clusterIP && clusterIPs.length === 0) errors.push(required('spec.clusterIPs'))
  else if (clusterIP && clusterIPs[0] !== clusterIP) errors.push(invalid('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`'))
  else if (!clusterIP && clusterIPs.length > 0) errors.push(invalid('spec.clusterIPs', clusterIPs, 'must be empty when `clusterIP` is not specified'))
  errors.push(...each('spec.ipFamilies', ipFamilies, (family, path, index) =>
    family !== 'IPv4' && family !== 'IPv6' ? [notSupported(path, family, ['IPv4', 'IPv6'])]
      : ipFamilies.indexOf(family) < index ? [duplicate(path, family)] : []))
  if (spec.ipFamilyPolicy !== undefined) errors.push(...oneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, policies))
  return [...errors, ...validateIPs(clusterIPs, ipFamilies)]
}

function validateIPs(clusterIPs: readonly string[], ipFamilies: readonly string[]): FieldError[] {
  const malformed = each('spec.clusterIPs', clusterIPs, (ip, path, index) => {
    if (index === 0 && ip === none) return clusterIPs.length > 1 ? [invalid('spec.clusterIPs', clusterIPs, "'None' must be the first and only value")] : []
    return [...invalids(path, ip, ipAddress(ip)), ...(clusterIPs.indexOf(ip) < index ? [duplicate(path, ip)] : [])]
  })
  if (clusterIPs.length > 2) malformed.push(invalid('spec.clusterIPs', clusterIPs, 'may only hold up to 2 values'))
  if (malformed.length > 0 || clusterIPs[0] === none) return malformed
  const families = clusterIPs.map(ip => familyName(parseIp(ip)!.family))
  if (new Set(families).size < families.length) return [invalid('spec.clusterIPs', clusterIPs, 'may specify no more than one IP for each IP family')]
  return families.flatMap((family, index) => ipFamilies[index] === undefined || ipFamilies[index] === family ? []
    : [invalid(at('spec.clusterIPs', index), clusterIPs[index], `expected an ${ipFamilies[index]} value as indicated by \`ipFamilies[${index}]\``)])
}
