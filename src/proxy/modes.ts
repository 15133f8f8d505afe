// Each mode's code, loaded only when it is used: a proxy in one mode carries nothing of the others. And
// what is done with several of them: falling back, and removing what an earlier mode left.
import { UserError } from '#lib/errors.ts'
import type { CleanupContext, DataPlane, ModeModule, PlaneContext } from './dataplane.ts'
import type { Mode } from './mode.ts'

// A mode stands here once its folder has an apply.ts, and has `here: true` in mode.ts.
const loaders: Partial<Record<Mode, () => Promise<ModeModule>>> = {
  userspace: () => import('./userspace/apply.ts'),
  iptables: () => import('./iptables/apply.ts'),
  ipvs: () => import('./ipvs/apply.ts'),
  nftables: () => import('./nftables/apply.ts'),
  ebpf: () => import('./ebpf/apply.ts'),
}

/** The modes that can be loaded. */
export const loadableModes = Object.keys(loaders) as Mode[]

export async function loadMode(mode: Mode): Promise<ModeModule> {
  const load = loaders[mode]
  if (!load) throw new Error(`mode ${mode} has no code`)
  return load()
}

/** What runs when a mode cannot and `--fallback` was given, as kube-proxy did until 1.25: the nearest in what it does first. */
const fallbacks: Partial<Record<Mode, readonly Mode[]>> = {
  ebpf: ['nftables', 'iptables'], nftables: ['iptables'], ipvs: ['iptables', 'nftables'], userspace: ['iptables', 'nftables'], iptables: ['nftables'],
}

export interface Planes { readonly mode: Mode; readonly planes: readonly DataPlane[] }
export type PlanesContext = Omit<PlaneContext, 'family' | 'labels'> & { readonly fallback: boolean }

/** A plane for each IP family that the machine can do in the configured mode. Throws a UserError with the reasons when there is none. */
export async function createPlanes({ fallback, ...context }: PlanesContext): Promise<Planes> {
  const { mode: wanted } = context.config, reasons: string[] = []
  for (const mode of [wanted, ...fallback ? (fallbacks[wanted] ?? []).filter(other => loaders[other]) : []]) {
    const { planes, refusals } = await createMode(mode, context)
    if (planes.length > 0) {
      for (const [family, why] of refusals) context.log.warn(`${family} is left alone: ${why}`)
      if (mode !== wanted) context.log.warn(`mode ${wanted} cannot run here: falling back to ${mode}`, { why: reasons.join('; ') })
      return { mode, planes }
    }
    reasons.push(...new Set(refusals.map(([, why]) => `mode ${mode}: ${why}`)))
  }
  throw new UserError(`${reasons.join('\n')}${fallback ? '' : '\nGive --fallback to run in another mode instead.'}`)
}

async function createMode(mode: Mode, context: Omit<PlanesContext, 'fallback'>): Promise<{ planes: DataPlane[]; refusals: [string, string][] }> {
  const { create } = await loadMode(mode)
  const planes: DataPlane[] = [], refusals: [string, string][] = []
  for (const family of [4, 6] as const) {
    const labels = { ip_family: `IPv${family}` }
    const made = await create({ ...context, family, labels })
    if ('refused' in made) refusals.push([labels.ip_family, made.refused])
    else planes.push(made)
  }
  return { planes, refusals }
}

/** Removes what other modes than `inForce` left (undefined: all modes), one after the other; a failure is logged and stops nothing. True when all went well. */
export async function cleanUpModes(context: CleanupContext): Promise<boolean> {
  let clean = true
  const used = context.inForce && (await loadMode(context.inForce)).uses
  for (const mode of loadableModes) {
    if (mode === context.inForce || mode === used) continue
    try { await (await loadMode(mode)).cleanup(context) } catch (error) {
      clean = false
      context.log.error(`cannot remove what mode ${mode} left`, error)
    }
  }
  return clean
}
