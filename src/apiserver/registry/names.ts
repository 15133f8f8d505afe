// The formats of Kubernetes's names, as k8s.io/apimachinery/pkg/util/validation checks and words them.
// Each check returns what is wrong, nothing when all is well.
import { parseCidr, parseIp } from '#net/ip.ts'

// A field that the client left out is checked as the empty text that Go has in its place.
type Check = (value?: string) => string[]

const regexError = (message: string, format: string, ...examples: string[]) =>
  // Upstream's RegexError ends each example with a comma and a space: the two spaces before "or" are its.
  `${message} (e.g. ${examples.map(example => `'${example}', `).join(' or ')}regex used for validation is '${format}')`

export const tooLongText = (length: number): string => `must be no more than ${length} bytes`
const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomain = `${label}(\\.${label})*`
const dns1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'

const format = (pattern: string, maximum: number, error: string): Check => {
  const regex = new RegExp(`^(?:${pattern})$`)
  return (value = '') => [
    ...(value.length > maximum ? [tooLongText(maximum)] : []),
    ...(regex.test(value) ? [] : [error]),
  ]
}

export const dns1123Label = format(label, 63, regexError(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character", label, 'my-name', '123-abc'))
export const dns1123Subdomain = format(subdomain, 253, regexError(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character", subdomain, 'example.com'))
export const dns1035Label = format(dns1035, 63, regexError(
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character", dns1035, 'my-name', 'abc-123'))
export const labelValue = format(`(${qualified})?`, 63, regexError(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", `(${qualified})?`, 'MyValue', 'my_value', '12345'))
export const configMapKey: Check = (value = '') => [
  ...format('[-._a-zA-Z0-9]+', 253, regexError(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", '[-._a-zA-Z0-9]+', 'key.name', 'KEY_NAME', 'key-name'))(value),
  ...(value === '.' ? ["must not be '.'"] : value === '..' ? ["must not be '..'"] : value.startsWith('..') ? ["must not start with '..'"] : []),
]
/** RelaxedEnvironmentVariableValidation (KEP-4369): anything printable but `=`. */
export const envVarName: Check = (value = '') =>
  value !== '' && /^[ -<>-~]+$/.test(value) ? [] : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
const qualifiedName = regexError("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character", qualified, 'MyName', 'my.name', '123-abc')
const namePart = format(qualified, 63, `name part ${qualifiedName}`)

/** A label key, a finalizer, a topology key: `example.com/name` or `name`. */
export function qualifiedNameErrors(value = ''): string[] {
  const parts = value.split('/')
  if (parts.length > 2) return [`a qualified name ${qualifiedName} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  const [prefix, name] = parts.length === 2 ? parts as [string, string] : [undefined, parts[0]!]
  return [
    ...(prefix === '' ? ['prefix part must be non-empty'] : prefix === undefined ? [] : dns1123Subdomain(prefix).map(error => `prefix part ${error}`)),
    ...(name === '' ? ['name part must be non-empty'] : []),
    ...namePart(name).map(error => error.startsWith('name part') ? error : `name part ${error}`),
  ]
}

/** A name that can be one segment of a URL path: RBAC's kinds. */
export const pathSegment: Check = (value = '') => [
  ...(value === '.' || value === '..' ? [`may not be '${value}'`] : []),
  ...['/', '%'].filter(character => value.includes(character)).map(character => `may not contain '${character}'`),
]

/** IsValidPortName: an IANA service name. */
export function portName(value = ''): string[] {
  return [
    ...(value.length > 15 ? [tooLongText(15)] : []),
    ...(/^[-a-z0-9]+$/.test(value) ? [] : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(value) ? [] : ['must contain at least one letter (a-z)']),
    ...(value.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(value.startsWith('-') || value.endsWith('-') ? ['must not begin or end with a hyphen'] : []),
  ]
}

export const portNumber = (value = 0): string[] =>
  Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : ['must be between 1 and 65535, inclusive']

export const portNumberOrName = (value: number | string = 0): string[] =>
  typeof value === 'number' ? portNumber(value) : portName(value)

export const ipAddress: Check = (value = '') => parseIp(value) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']
export const cidrBlock: Check = (value = '') => parseCidr(value) ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']

/** With generateName the name's last character is not the last: upstream's maskTrailingDash. */
export const asPrefix = (check: Check): Check => (value = '') =>
  check(value.length > 1 && value.endsWith('-') ? value.slice(0, -1) + 'a' : value)

export type NameCheck = Check
