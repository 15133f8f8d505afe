// Which tags of the well-known images ever existed, so that `nginx:1.14.2` runs and `nginx:11.14.2`
// is refused as Docker Hub would. Tables and arithmetic on them; which images there are is in catalog.ts.

/** `unknown`: newer than this table, so only the registry can tell. */
export type Known = 'exists' | 'never' | 'unknown'

export interface Versions {
  /** `'1.17': '0-10'` is 1.17.0 to 1.17.10; `'1.7': '1 5-12'`; `''` has no third number. Oldest first. A `+` at the end: newer ones may have come. */
  readonly series: Readonly<Record<string, string>>
  /** Tags without a version: `latest`, `stable`. */
  readonly names: RegExp
  /** What may follow a version or a name, with its dash. */
  readonly variant: RegExp
  /** Whether `1.17` and `1` are tags besides `1.17.2`. */
  readonly partial: boolean
}

export function known(versions: Versions, tag: string): Known {
  const match = /^v?(\d+(?:\.\d+)*)(?![\d.])(.*)$/.exec(tag)
  if (versions.names.test(tag)) return 'exists'
  if (!match) return namedVariant(versions, tag) ? 'exists' : 'never'
  const [, version, variant] = match
  if (variant !== '' && !versions.variant.test(variant!)) return 'never'
  return knownVersion(versions, version!)
}

/** `alpine` is `latest-alpine`, `stable-alpine` a name with its variant. */
function namedVariant(versions: Versions, tag: string): boolean {
  if (versions.variant.test(`-${tag}`)) return true
  const dash = tag.indexOf('-')
  return dash > 0 && versions.names.test(tag.slice(0, dash)) && versions.variant.test(tag.slice(dash))
}

function knownVersion({ series, partial }: Versions, version: string): Known {
  const keys = Object.keys(series)
  if (partial && keys.some(key => key === version || key.startsWith(`${version}.`))) return 'exists'
  const dot = version.lastIndexOf('.')
  const [key, last] = [version.slice(0, Math.max(dot, 0)), Number(version.slice(dot + 1))]
  const ranges = series[key]
  if (ranges !== undefined) return inRanges(ranges, last)
  return partial ? beyond(keys, [key, version]) : 'never'
}

function inRanges(text: string, value: number): Known {
  if (text === '') return 'never'
  const ranges = text.replace('+', '').split(' ').map(range => range.split('-').map(Number))
  if (ranges.some(([low, high = low]) => value >= low! && value <= high!)) return 'exists'
  // A registry may have twenty releases more than this table; it will not have ninety.
  const newest = ranges.at(-1)!.at(-1)!
  return text.endsWith('+') && value > newest && value <= newest + 20 ? 'unknown' : 'never'
}

/** A minor version after the newest one of the same major (1.31 where the table ends at 1.29). */
function beyond(keys: readonly string[], candidates: readonly string[]): Known {
  const [major, minor] = keys.at(-1)!.split('.').map(Number) as [number, number | undefined]
  return minor !== undefined && candidates.some(candidate => {
    const [otherMajor, otherMinor] = candidate.split('.').map(Number) as [number, number | undefined]
    return candidate.split('.').length === 2 && otherMajor === major && otherMinor! > minor && otherMinor! <= minor + 20
  }) ? 'unknown' : 'never'
}

const words = (...alternatives: string[]) => new RegExp(`^(?:-(?:${alternatives.join('|')}))+$`)
const none = /^(?!)/

export const nginx: Versions = {
  partial: true, names: /^(latest|stable|mainline)$/,
  variant: words('alpine(?:3\\.\\d{1,2})?', 'perl', 'otel', 'slim', 'trixie', 'bookworm', 'bullseye', 'buster', 'stretch', 'jessie'),
  series: {
    '1.7': '1 5-12', '1.8': '0-1', '1.9': '0-15', '1.10': '0-3', '1.11': '0-13', '1.12': '0-2', '1.13': '0-12', '1.14': '0-2',
    '1.15': '0-12', '1.16': '0-1', '1.17': '0-10', '1.18': '0', '1.19': '0-10', '1.20': '0-2', '1.21': '0-6', '1.22': '0-1',
    '1.23': '0-4', '1.24': '0', '1.25': '0-5', '1.26': '0-3', '1.27': '0-5', '1.28': '0-3+', '1.29': '0-8+',
  },
}

export const tomcat: Versions = {
  partial: true, names: /^latest$/,
  variant: words('jre\\d{1,2}', 'jdk\\d{1,2}', 'alpine', 'slim', 'openjdk', 'temurin', 'corretto(?:-al2023)?', 'zulu', 'sapmachine', 'dragonwell',
    'adoptopenjdk', 'hotspot', 'openj9', 'oracle', 'oraclelinux\\d', 'al2', 'ubuntu', 'xenial', 'bionic', 'focal', 'jammy', 'noble', 'jessie', 'stretch',
    'buster', 'bullseye', 'bookworm'),
  series: {
    // A number that was skipped inside a range is not told apart.
    '6.0': '41-53', '7.0': '54-109', '8.0': '11-53', '8.5': '2-100', '9.0': '0-112+', '10.0': '0-27', '10.1': '0-50+', '11.0': '0-15+',
  },
}

export const busybox: Versions = {
  partial: true, names: /^latest$/, variant: words('glibc', 'musl', 'uclibc', 'ubuntu', 'buildroot'),
  series: {
    '1.20': '0', '1.21': '0', '1.22': '0', '1.23': '2', '1.24': '0-2', '1.25': '0-1', '1.26': '0-2', '1.27': '0-2', '1.28': '0-4', '1.29': '0-3',
    '1.30': '0-1', '1.31': '0-1', '1.32': '0-1', '1.33': '0-1', '1.34': '0-1', '1.35': '0', '1.36': '0-1', '1.37': '0+',
  },
}

export const alpine: Versions = {
  partial: true, names: /^(latest|edge|20\d{6})$/, variant: none,
  series: {
    '2.6': '', '2.7': '', '3.1': '', '3.2': '', '3.3': '', '3.4': '', '3.5': '', '3.6': '0-5', '3.7': '0-3', '3.8': '0-5', '3.9': '0-6',
    '3.10': '0-9', '3.11': '0-13', '3.12': '0-12', '3.13': '0-12', '3.14': '0-10', '3.15': '0-11', '3.16': '0-9', '3.17': '0-10',
    '3.18': '0-12', '3.19': '0-9', '3.20': '0-8+', '3.21': '0-5+', '3.22': '0-2+', '3.23': '0+',
  },
}

/** registry.k8s.io/e2e-test-images: the tag is the version that was packed and the packing's own number. */
export const testNginx: Versions = { partial: true, names: none, variant: /^-[1-4]$/, series: { '1.14': '', '1.15': '' } }
export const testBusybox: Versions = { partial: true, names: none, variant: /^-[1-4]$/, series: { '1.29': '', '1.36': '1' } }
export const nginxSlim: Versions = { partial: false, names: none, variant: none, series: { '0': '1-9 20-27+' } }
/** gcr.io/google_containers once held copies of a few Hub images. */
export const oldNginx: Versions = { partial: true, names: /^latest$/, variant: none, series: { '1.7': '9', '1.8': '1', '1.9': '1', '1.11': '1' } }
export const oldBusybox: Versions = { partial: true, names: /^latest$/, variant: none, series: { '1.24': '', '1.27': '2' } }

export const pause: Versions = {
  partial: false, names: /^(latest|go)$/, variant: none,
  series: { '0.8': '0', '0': '8', '1': '0', '2': '0', '3': '0-3 5-10+', '3.4': '1', '3.10': '1-2+' },
}
export const serveHostname: Versions = { partial: false, names: /^latest$/, variant: none, series: { '1': '0-4', '0': '1-2' } }
export const agnhost: Versions = { partial: false, names: none, variant: none, series: { '1': '0', '2': '0-60+' } }
export const kubeProxy: Versions = {
  partial: false, names: none, variant: /^-(alpha|beta|rc)\.\d{1,2}$/,
  series: {
    '1.15': '0-12', '1.16': '0-15', '1.17': '0-17', '1.18': '0-20', '1.19': '0-16', '1.20': '0-15', '1.21': '0-14', '1.22': '0-17',
    '1.23': '0-17', '1.24': '0-17', '1.25': '0-16', '1.26': '0-15', '1.27': '0-16', '1.28': '0-15', '1.29': '0-15', '1.30': '0-14',
    '1.31': '0-14', '1.32': '0-13', '1.33': '0-20', '1.34': '0-20', '1.35': '0-20', '1.36': '0-20',
  },
}
export const coredns: Versions = {
  partial: false, names: /^latest$/, variant: none,
  series: {
    '1.0': '0-6', '1.1': '0-4', '1.2': '0-6', '1.3': '0-1', '1.4': '0', '1.5': '0-2', '1.6': '0-9', '1.7': '0-1', '1.8': '0-7',
    '1.9': '0-4', '1.10': '0-1', '1.11': '0-4', '1.12': '0-4', '1.13': '0-1+', '1.14': '0+',
  },
}
