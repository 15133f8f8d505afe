// The proxy modes: which there are, and which of them this program has.
import { UserError } from '#lib/errors.ts'

export const modes = {
  userspace: { here: false, about: 'a proxy process in user space (Kubernetes before 1.26)' },
  iptables: { here: true, about: 'DNAT rules of iptables, nft or legacy' },
  ipvs: { here: false, about: 'virtual servers of IPVS' },
  nftables: { here: false, about: 'maps of nftables' },
  ebpf: { here: false, about: 'translation at the socket by eBPF' },
  kernelspace: { here: false, about: "Windows's host networking" },
} as const satisfies Record<string, { here: boolean; about: string }>

export type Mode = keyof typeof modes

/** '' is the default mode. Throws a UserError for a mode that is not one, or not here. */
export function parseMode(text: string): Mode {
  const mode = text === '' ? 'iptables' : text
  const available = Object.entries(modes).filter(([, { here }]) => here).map(([name]) => name).join(', ')
  if (!Object.hasOwn(modes, mode)) throw new UserError(`mode: ${JSON.stringify(text)} is no proxy mode: use ${available}`)
  if (!modes[mode as Mode].here) throw new UserError(`mode: ${mode} (${modes[mode as Mode].about}) is not supported: use ${available}`)
  return mode as Mode
}
