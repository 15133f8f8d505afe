// The names of the proxy modes, and which of them this program has. Loading one is modes.ts.
import { UserError } from '#lib/errors.ts'

export const modes = {
  userspace: { here: true, about: 'a proxy process in user space (Kubernetes before 1.26)' },
  iptables: { here: true, about: 'DNAT rules of iptables, nft or legacy' },
  ipvs: { here: true, about: 'virtual servers of IPVS' },
  nftables: { here: true, about: 'maps of nftables' },
  ebpf: { here: true, about: 'translation at the socket by eBPF' },
  kernelspace: { here: false, about: "Windows's host networking" },
} as const satisfies Record<string, { here: boolean; about: string }>

export type Mode = keyof typeof modes

/** Names of the modes that work here. */
export const availableModes: readonly Mode[] = (Object.keys(modes) as Mode[]).filter(mode => modes[mode].here)

/** '' is the default mode. Throws a UserError for a mode that is not one, or not here; `where` names the setting in it. */
export function parseMode(text: string, where = 'mode'): Mode {
  const mode = text === '' ? 'iptables' : text
  const available = availableModes.join(', ')
  if (!Object.hasOwn(modes, mode)) throw new UserError(`${where}: ${JSON.stringify(text)} is no proxy mode: use ${available}`)
  if (!modes[mode as Mode].here) throw new UserError(`${where}: ${mode} (${modes[mode as Mode].about}) is not supported: use ${available}`)
  return mode as Mode
}
