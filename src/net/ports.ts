// Port ranges in Kubernetes's notation.

export interface PortRange { readonly from: number; readonly to: number }

/** `30000-32767` (also `30000+100` and a single port), as `--service-node-port-range` takes it; `undefined` when it is none. */
export function parsePortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:([-+])(\d{1,5}))?$/.exec(text.trim())
  if (!match) return undefined
  const from = Number(match[1])
  const to = match[2] === undefined ? from : match[2] === '+' ? from + Number(match[3]) : Number(match[3])
  return from >= 0 && to <= 65535 && from <= to ? { from, to } : undefined
}

export const formatPortRange = (range: PortRange): string => `${range.from}-${range.to}`
