// What a traced packet is, and what may become of it: the same for the rules of every mode.

export interface Packet {
  readonly source: string
  readonly destination: string
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
  /** The interface it comes in by; undefined when the node itself sends it. */
  readonly inputInterface?: string
}

/** One way the packet may go. */
export interface Outcome {
  /** `endpoint`: translated; `none`: no rule captured it. */
  readonly verdict: 'endpoint' | 'REJECT' | 'DROP' | 'none'
  /** `ip:port` after translation. */
  readonly endpoint: string | undefined
  readonly masquerade: boolean
  readonly probability: number
  /** The rules that matched, with their table or chain, in order. */
  readonly rules: readonly string[]
}

/** Ways that end alike become one, as likely as all of them. */
export function mergeOutcomes(outcomes: readonly Outcome[]): Outcome[] {
  const groups = Map.groupBy(outcomes, ({ verdict, endpoint, masquerade }) => JSON.stringify([verdict, endpoint, masquerade]))
  return [...groups.values()].map(group => ({ ...group[0]!, probability: group.reduce((sum, one) => sum + one.probability, 0) }))
}
