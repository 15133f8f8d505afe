// An Explanation as one page of text: what it is and whether it works, what to do, then the details.
import type { Address, EndpointRow, Explanation, Finding, NodeAddress, Port, Use } from './explanation.ts'
import { columns } from '../cluster/status.ts'
import { labelsText, listed, withPort } from './words.ts'

/** Rows of a table on the page; -o json has all. */
const mostRows = 30

export function text(explanation: Explanation): string {
  const { namespace, name, type, selector, settings } = explanation
  return [
    `Service ${namespace}/${name} (${type}) ${explanation.works ? `works. ${explanation.summary}` : 'does not work as it should.'}`,
    ...(selector ? [`  selects ${labelsText(selector)}`] : []), ...settings.map(line => `  ${line}`),
    ...findings('What is broken', explanation.findings.filter(({ severity }) => severity === 'error')),
    ...findings('Also', explanation.findings.filter(({ severity }) => severity !== 'error')),
    ...section('Addresses', explanation.addresses.flatMap(addressLines)),
    ...section('Ports', columns([['PORT', 'NAME', 'TARGET PORT', 'IN THE PODS'], ...explanation.ports.map(portRow)]), explanation.ports.length),
    ...section('Endpoints', endpointLines(explanation), type === 'ExternalName' ? 0 : 1),
    ...section('Not looked at', [...explanation.notLookedAt]),
    ...section('Try it', [...explanation.tryIt]), '',
  ].join('\n')
}

const section = (title: string, lines: readonly string[], rows = lines.length): string[] => rows === 0 ? [] : ['', title, ...lines.map(line => `  ${line}`.trimEnd())]

const findings = (title: string, found: readonly Finding[]): string[] => section(title, found.flatMap(({ what, why, command }, index) => [
  `${index + 1}. ${what}`, ...why.map(line => `   ${line}`), ...command ? command.split('\n').map((line, i) => `   ${i === 0 ? '$' : ' '} ${line}`) : []]))

function addressLines({ kind, value, comment, nodes }: Address): string[] {
  const line = `${kind.padEnd(13)}  ${value}${comment ? `  ${comment}` : ''}`
  if (!nodes) return [line]
  const refused = new Map<string, NodeAddress[]>()
  for (const node of nodes) if (!node.answers) refused.set(node.why ?? '', [...refused.get(node.why ?? '') ?? [], node])
  const good = nodes.filter(node => node.answers)
  return [line, ...good.length > 0 ? [`${' '.repeat(13)}  answers on ${listed(good.map(node => `${node.node} ${node.address}`))}`] : [],
    ...[...refused].map(([why, there]) => `${' '.repeat(13)}  not on ${listed(there.map(({ node }) => node))}: ${why}`)]
}

const portRow = ({ port, protocol, name, targetPort, targets }: Port): string[] => [
  `${port}/${protocol}`, name ?? '-', String(targetPort), targets.length === 0 ? '-' : targets.map(target =>
    `${target.port ?? 'no such port'}${targets.length > 1 ? ` in ${listed(target.pods, 3)}` : ''}`).join('; ')]

function endpointLines({ endpoints, type }: Explanation): string[] {
  if (endpoints.length === 0) return ['none']
  const everyNode = new Set(endpoints.flatMap(({ inside }) => inside.flatMap(({ nodes }) => nodes))).size
  const rows = endpoints.slice(0, mostRows).map(row => [row.pod ?? '-', row.node ?? '-', address(row), used(row, { everyNode, headless: type === 'headless' })])
  return [...columns([['POD', 'NODE', 'ADDRESS', type === 'headless' ? 'NAMED BY DNS' : 'USED'], ...rows]),
    ...endpoints.length > mostRows ? [`and ${endpoints.length - mostRows} more: see -o json`] : []]
}

const address = ({ ip, ports }: EndpointRow): string => ip === undefined ? '-' : ports.length === 0 ? ip : ports.length === 1 ? withPort(ip, ports[0]!) : `${withPort(ip, ports[0]!)},${ports.slice(1).join(',')}`

function used({ inside, outside, problem }: EndpointRow, about: { everyNode: number; headless: boolean }): string {
  const own = uses(inside, about)
  const all = outside ? `from inside: ${own}; from outside: ${uses(outside, about)}` : own
  return problem ? `${all}; but ${problem}` : all
}

function uses(list: readonly Use[], { everyNode, headless }: { everyNode: number; headless: boolean }): string {
  return list.map(({ used, nodes, why }) => {
    const where = headless || (nodes.length === everyNode && list.length === 1) ? '' : listed(nodes)
    if (used) return `${headless ? 'yes' : `yes, from ${where || 'every node'}`}${why ? `, ${why}` : ''}`
    return `${where ? `not from ${where}` : 'no'}: ${why ?? 'unknown'}`
  }).join('; ')
}
