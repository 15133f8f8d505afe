// Addresses that no Service and no endpoint may have (ValidateNonSpecialIP, ValidateEndpointIP).
import { contains, parseCidr, parseIp } from '#net/ip.ts'

const special: readonly (readonly [ranges: readonly string[], message: string])[] = [
  [['0.0.0.0/32', '::/128'], 'may not be unspecified (0.0.0.0 or ::)'],
  [['127.0.0.0/8', '::1/128'], 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  [['169.254.0.0/16', 'fe80::/10'], 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  [['224.0.0.0/24', 'ff02::/16'], 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
]
const parsed = special.map(([ranges, message]) => [ranges.map(range => parseCidr(range)!), message] as const)

/** What is special about an address; nothing for text that is no address. */
export function specialIp(text: string): string[] {
  const ip = parseIp(text)
  return ip ? parsed.filter(([ranges]) => ranges.some(range => contains(range, ip))).map(([, message]) => message) : []
}
