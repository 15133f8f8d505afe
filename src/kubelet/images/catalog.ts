// The built-in images and the names they answer to: pure look-ups. What they are made of is in
// builtin/; which tags existed is in versions.ts.
import { alpine, busybox } from './builtin/busybox.ts'
import type { Builtin, Machine } from './builtin/layer.ts'
import { nginx } from './builtin/nginx.ts'
import { agnhost, coredns, kubeProxy, pause, serveHostname } from './builtin/programs.ts'
import { tomcat } from './builtin/tomcat.ts'
import { familiar } from './reference.ts'
import type { Reference } from './reference.ts'
import type { ImageConfig } from './store.ts'
import { known } from './versions.ts'
import type { Known, Versions } from './versions.ts'

export const builtins: readonly Builtin[] = [nginx, tomcat, busybox, alpine, pause, serveHostname, agnhost, kubeProxy, coredns]

const byRepository = new Map<string, { builtin: Builtin; versions: readonly Versions[] }>()
for (const builtin of builtins) {
  for (const { repositories, versions } of builtin.sources) {
    for (const repository of repositories) {
      byRepository.set(repository, { builtin, versions: [...byRepository.get(repository)?.versions ?? [], versions] })
    }
  }
}

/** `undefined`: no built-in image has this name, or it is named by digest alone, which only the real image can satisfy. */
export function findBuiltin(reference: Reference): { readonly builtin: Builtin; readonly known: Known } | undefined {
  const found = byRepository.get(`${reference.registry}/${reference.repository}`)
  if (!found || reference.tag === undefined) return undefined
  const answers = found.versions.map(versions => known(versions, reference.tag!))
  return { builtin: found.builtin, known: answers.includes('exists') ? 'exists' : answers.includes('unknown') ? 'unknown' : 'never' }
}

/** For the event `Pulled`: `Debian's nginx 1.22.1 stands in for nginx:1.17.2`. */
export const standIn = (builtin: Builtin, machine: Machine, reference: Reference): string =>
  `${builtin.standIn(machine)} ${/ and |programs$/.test(builtin.standIn(machine)) ? 'stand' : 'stands'} in for ${familiar(reference)}`

const empty: ImageConfig = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: 'SIGTERM', exposedPorts: [] }

export const configOf = (builtin: Builtin, machine: Machine, reference: Reference): ImageConfig =>
  ({ ...empty, ...builtin.config(machine, reference) })
