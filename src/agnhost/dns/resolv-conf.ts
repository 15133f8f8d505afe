// The two questions that tests ask about a pod's resolv.conf, answered as agnhost answers them:
// the words of the first line that begins with the keyword. Pure.
import { UserError } from '#lib/errors.ts'

export function firstLine(resolvConf: string, keyword: 'search' | 'nameserver'): string {
  const line = resolvConf.split('\n').find(line => line.startsWith(keyword))
  if (line === undefined) throw new UserError(`/etc/resolv.conf has no ${keyword} line`)
  return line.split(' ').slice(1).join(',')
}
