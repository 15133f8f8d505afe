// Small words: counts, lists, ages, and the commands that a person can paste.
import type { Pod, Service } from '#api/core/v1.ts'
import { controllerOf } from '#api/object.ts'

const numbers = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']

export const numberWord = (number: number): string => numbers[number] ?? String(number)

/** `two pods`, `one pod`, `12 pods`. */
export const count = (number: number, noun: string): string => `${numberWord(number)} ${noun}${number === 1 ? '' : 's'}`

export const capital = (text: string): string => `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`

/** `a, b and c`; of a long list the first few and how many more. */
export function listed(words: readonly string[], most = 5): string {
  if (words.length > most) return `${words.slice(0, most - 1).join(', ')} and ${words.length - most + 1} more`
  return words.length < 2 ? words[0] ?? '' : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

/** `45s`, `3m`, `2h`, `5d`. */
export function age(now: string, since: string): string {
  const seconds = Math.max(0, Math.round((Date.parse(now) - Date.parse(since)) / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

export const forAge = (now: string, since: string | undefined): string => since ? ` (for ${age(now, since)})` : ''

export const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(',')

/** One line, not too long. */
export const brief = (text: string): string => {
  const line = text.trim().replace(/\s+/g, ' ')
  return line.length > 300 ? `${line.slice(0, 297)}...` : line
}

/** An address with a port: `10.0.0.1:80`, `[fd00::1]:80`. */
export const withPort = (ip: string, port: number): string => ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

export const kubectl = (namespace: string | undefined, words: string): string => `kubectl -n ${namespace ?? 'default'} ${words}`

/** What a person edits to change a pod: the Deployment above its ReplicaSet, another owner, or the pod. */
export function workloadOf(pod: Pod): string {
  const owner = controllerOf(pod)
  if (!owner) return `pod/${pod.metadata.name}`
  const hash = pod.metadata.labels?.['pod-template-hash']
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)) return `deployment/${owner.name.slice(0, -hash.length - 1)}`
  return `${owner.kind.toLowerCase()}/${owner.name}`
}

/** A command that sets one field of a Service. */
export const patchService = (service: Service, path: string, value: unknown): string =>
  kubectl(service.metadata.namespace, `patch service ${service.metadata.name} --type=json -p '${JSON.stringify([{ op: 'add', path, value }])}'`)
