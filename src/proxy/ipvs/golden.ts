// All that the mode writes for a state, as one text to read: each tool's part under the command that
// takes it. For goldens and for people; the plane writes only what differs.
import { fullText } from '../iptables/ruleset.ts'
import type { ProxiedPort } from '../state.ts'
import type { IpvsOptions } from './options.ts'
import { jumps, rules } from './rules.ts'
import { fullTransaction } from './transaction.ts'
import { wanted } from './wanted.ts'
import { device } from './names.ts'

/** In the order in which they are written. */
export const commands = ['ipset restore', 'iptables-restore --noflush', 'ip -batch -', 'ipvsadm -R'] as const
export type Command = typeof commands[number]

export function goldenText(ports: readonly ProxiedPort[], options: IpvsOptions): string {
  const { setsBefore, servers, addresses } = fullTransaction(wanted(ports, options), options.family)
  const parts: Record<Command, string> = {
    'ipset restore': setsBefore,
    'iptables-restore --noflush': fullText(rules(ports, options), { jumps: jumps(options) }),
    'ip -batch -': `link add ${device} type dummy\n${addresses}`,
    'ipvsadm -R': servers,
  }
  return commands.map(command => `## ${command}\n${parts[command]}`).join('\n')
}

/** The part of such a text that is for a command. */
export function partOf(text: string, command: Command): string {
  const start = text.indexOf(`## ${command}\n`) + `## ${command}\n`.length
  const end = text.indexOf('\n## ', start)
  return text.slice(start, end < 0 ? undefined : end)
}
