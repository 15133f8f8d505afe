// The answer of `fairway proxy trace` as text: what every packet meets, then each way it may end with
// the rules that lead there, and beside each rule why it is there.
import type { Outcome, Packet } from './outcome.ts'

/** Why a rule is there, by what it looks like: of both modes. */
const reasons: readonly [RegExp, string][] = [
  [/firewall-check: .*drop|KUBE-PROXY-FIREWALL .*-j DROP/, "the source is in none of the Service's loadBalancerSourceRanges"],
  [/has no endpoints|: goto reject-chain|reject-chain: reject/, 'the Service has no usable endpoint anywhere'],
  [/has no local endpoints|endpoints-check: .* : drop/, 'its traffic policy is Local and no endpoint is on this node'],
  [/cluster-ips-check: .*reject/, 'the address is a cluster IP, but it has no such port'],
  [/ct state invalid drop|--ctstate INVALID -j DROP/, 'conntrack does not know the connection'],
  [/127\.0\.0\.0\/8 .*(drop|DROP)/, 'others may not send to the loopback addresses (CVE-2020-8558)'],
  [/hairpin-connections/, 'a pod reaches itself: its source must be replaced, or it would answer itself'],
  [/KUBE-SEP-\S+ .*-s \S+.* -j KUBE-MARK-MASQ/, 'a pod reaches itself: its source must be replaced, or it would answer itself'],
  [/mark-for-masquerade: |KUBE-MARK-MASQ .*--set-xmark/, 'marked: its source will be replaced on the way out'],
  [/(saddr != |iifname != |! -s |! -i ).*(mark-for-masquerade|KUBE-MARK-MASQ)/, 'it does not come from a pod of this node, so the answer must come back through here'],
  [/saddr type local jump|masquerade LOCAL traffic/, 'the node itself sends it to an external address'],
  [/(saddr type local goto|route LOCAL traffic)/, 'the node itself is not bound by the external traffic policy'],
  [/external-\S+: .*saddr \S+ goto|nodeport-\S+: .*saddr \S+ goto|iifname "\S+ goto|pod traffic for/, 'a pod is not bound by the external traffic policy'],
  [/jump mark-for-masquerade|-j KUBE-MARK-MASQ/, 'the endpoint may be on another node, which must answer through here'],
  [/KUBE-POSTROUTING .*RETURN/, 'not marked: it keeps its source'],
  [/masquerade|-j MASQUERADE/, "its source becomes the node's own address"],
  [/jump firewall-check$/, 'are there source ranges for it?'],
  [/jump (service|nodeport)-endpoints-check$/, 'is it to a Service that has no endpoint to send to?'],
  [/jump cluster-ips-check$/, 'is it to a cluster IP, on a port that no Service has?'],
  [/jump services$|-j KUBE-SERVICES$/, 'is it to a Service?'],
  [/meta mark set meta mark \^|--set-xmark \S+\/0x0/, 'the mark has done its work'],
  [/vmap @service-nodeports|KUBE-NODEPORTS .*-j KUBE-EXT-/, 'the port is a NodePort of the Service'],
  [/vmap @service-ips|KUBE-SERVICES .*cluster IP|KUBE-SERVICES .*(external|loadbalancer) IP/, 'the address and port are those of the Service'],
  [/-j KUBE-NODEPORTS|nodeports;/, "the address is the node's own: perhaps a NodePort"],
  [/update @affinity|--set --name/, 'the client is remembered with this endpoint (sessionAffinity ClientIP)'],
  [/saddr @affinity|--rcheck/, 'the client was here before (sessionAffinity ClientIP)'],
  [/ dnat (ip6? )?to |-j DNAT/, 'sent to the endpoint'],
  [/numgen random|--mode random|-j KUBE-SEP-/, 'one endpoint is picked at random'],
  [/KUBE-FORWARD .*--mark/, 'marked packets may be forwarded'],
]

const reasonOf = (rule: string): string | undefined => reasons.find(([pattern]) => pattern.test(rule))?.[1]

export interface Report {
  readonly packet: Packet
  /** What the source and the destination are, beside their addresses. */
  readonly fromName: string
  readonly toName: string
  readonly mode: string
  readonly outcomes: readonly Outcome[]
}

export function reportText({ packet, fromName, toName, mode, outcomes }: Report): string {
  const named = (address: string, name: string) => name ? `${address} (${name})` : address
  const socket = packet.destination.includes(':') ? `[${packet.destination}]:${packet.port}` : `${packet.destination}:${packet.port}`
  const via = packet.inputInterface ? `, arriving by ${packet.inputInterface}` : ', sent by this machine'
  const common = commonRules(outcomes)
  return [
    `${packet.protocol} from ${named(packet.source, fromName)} to ${named(socket, toName)}${via}`, `mode ${mode}, as the kernel has it now`, '',
    ...common.length > 0 && outcomes.length > 1 ? ['every such packet:', ...common.map(ruleText), ''] : [],
    ...outcomes.toSorted((a, b) => b.probability - a.probability).flatMap(outcome => [
      headline(outcome, socket), ...outcome.rules.slice(outcomes.length > 1 ? common.length : 0).map(ruleText), '']),
  ].join('\n')
}

function headline({ verdict, endpoint, masquerade, probability }: Outcome, socket: string): string {
  const chance = `${(probability * 100).toFixed(probability === 1 ? 0 : 1)} %`
  switch (verdict) {
    case 'endpoint': return `${chance}  to ${endpoint}, ${masquerade ? "with the node's address as its source" : 'source kept'}`
    case 'REJECT': return `${chance}  refused (connection refused)`
    case 'DROP': return `${chance}  dropped (the client waits until it gives up)`
    case 'none': return `${chance}  no rule of the proxy takes it: on to ${socket} as it is${masquerade ? ', masqueraded' : ''}`
  }
}

function ruleText(rule: string): string {
  const reason = reasonOf(rule)
  return `  ${rule}${reason ? `\n      -> ${reason}` : ''}`
}

/** The rules that all ways begin with. */
function commonRules(outcomes: readonly Outcome[]): readonly string[] {
  const [first, ...others] = outcomes
  if (!first) return []
  const end = first.rules.findIndex((rule, i) => others.some(({ rules }) => rules[i] !== rule))
  return end < 0 ? first.rules : first.rules.slice(0, end)
}

/** What a real connection met. */
export interface Met { readonly verdict: Outcome['verdict']; readonly endpoint: string | undefined; readonly masquerade: boolean }

/** What was seen beside what was traced; `agrees` when nothing was seen that the rules do not give. */
export function comparison(outcomes: readonly Outcome[], seen: readonly Met[]): { readonly text: string; readonly agrees: boolean } {
  const name = ({ verdict, endpoint, masquerade }: Met) => verdict === 'endpoint' ? `to ${endpoint}${masquerade ? ", with the node's address" : ''}` : verdict === 'none' ? 'not translated' : verdict === 'REJECT' ? 'refused' : 'dropped'
  const groups = Map.groupBy(seen, name)
  const known = new Set(outcomes.map(name))
  const lines = [...groups].map(([what, own]) => `  ${own.length} of ${seen.length}  ${what}${known.has(what) ? '' : '   <- the rules do not say so'}`)
  const agrees = [...groups.keys()].every(what => known.has(what))
  return { agrees, text: [`live: ${seen.length} connection${seen.length === 1 ? '' : 's'}`, ...lines, agrees ? 'as traced' : 'NOT as traced: other rules of this machine, or of another, changed it', ''].join('\n') }
}
