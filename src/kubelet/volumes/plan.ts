// What a pod's volumes hold: for each one where it lives and, for the kinds that are made of files,
// every file with its bytes and mode. Pure; apply.ts writes it.
import type { ConfigMap, ConfigMapProjection, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret, SecretProjection, Volume } from '#api/core/v1.ts'
import { fieldValue, resourceValue, type FieldContext } from '../containers/fields.ts'
import type { ObjectLookup } from '../containers/env.ts'
import { units } from '../quantity.ts'

export interface File { readonly data: Buffer; readonly mode: number; readonly uid?: number }
export type VolumePlan = { readonly name: string } & (
  | { readonly kind: 'hostPath'; readonly path: string; readonly type: string }
  | { readonly kind: 'emptyDir'; readonly memory: boolean; readonly sizeBytes?: number }
  /** `plugin` names the folder: `kubernetes.io~configmap`. Paths are relative, without `..`. */
  | { readonly kind: 'files'; readonly plugin: string; readonly files: ReadonlyMap<string, File> })

export interface TokenWish { readonly volume: string; readonly path: string; readonly audience: string; readonly expirationSeconds: number }
export interface VolumeContext extends FieldContext {
  readonly objects: ObjectLookup
  /** The service account token for a wish, requested before. */
  token(wish: TokenWish): string
}

/** A volume that cannot be set up now; its text follows `MountVolume.SetUp failed for volume "x" : `. */
export class VolumeError extends Error {
  readonly volume: string
  constructor(volume: string, message: string) { super(message); this.volume = volume }
}

/** Tokens that must be requested before the volumes can be planned. */
export function tokenWishes(pod: Pod): TokenWish[] {
  return (pod.spec.volumes ?? []).flatMap(volume => (volume.projected?.sources ?? []).flatMap(({ serviceAccountToken: token }) =>
    token ? [{ volume: volume.name, path: token.path, audience: token.audience ?? '', expirationSeconds: token.expirationSeconds ?? 3600 }] : []))
}

/** Throws VolumeError. */
export function volumePlan(pod: Pod, volume: Volume, context: VolumeContext): VolumePlan {
  const { name } = volume
  if (volume.hostPath) return { name, kind: 'hostPath', path: volume.hostPath.path, type: volume.hostPath.type ?? '' }
  if (volume.emptyDir) {
    const sizeBytes = units(volume.emptyDir.sizeLimit)
    return { name, kind: 'emptyDir', memory: volume.emptyDir.medium === 'Memory', ...(sizeBytes && { sizeBytes }) }
  }
  const files = new Files(pod, volume, context)
  if (volume.configMap) return files.plan('kubernetes.io~configmap', () => files.configMap(volume.configMap!, volume.configMap!.defaultMode))
  if (volume.secret) return files.plan('kubernetes.io~secret', () => files.secret({ ...volume.secret!, name: volume.secret!.secretName }, volume.secret!.defaultMode))
  if (volume.downwardAPI) return files.plan('kubernetes.io~downward-api', () => files.downward(volume.downwardAPI!.items ?? [], volume.downwardAPI!.defaultMode))
  if (volume.projected) return files.plan('kubernetes.io~projected', () => files.projected(volume.projected!))
  const kind = Object.keys(volume).find(key => key !== 'name')
  throw new VolumeError(name, kind ? `volume type ${kind} is not supported by this kubelet: use emptyDir, hostPath, configMap, secret, downwardAPI or projected` : 'the volume has no source')
}

const defaultMode = 0o644

class Files {
  readonly files = new Map<string, File>()
  readonly pod: Pod
  readonly volume: Volume
  readonly context: VolumeContext
  constructor(pod: Pod, volume: Volume, context: VolumeContext) { this.pod = pod; this.volume = volume; this.context = context }

  plan(plugin: string, fill: () => void): VolumePlan {
    fill()
    return { name: this.volume.name, kind: 'files', plugin, files: this.files }
  }

  fail(message: string): never { throw new VolumeError(this.volume.name, message) }

  configMap({ name, items, optional }: ConfigMapProjection, mode = defaultMode) {
    const map = this.context.objects.configMap(this.pod.metadata.namespace!, name!)
    if (!map && !optional) this.fail(`configmap "${name}" not found`)
    this.payload(configMapData(map), items ?? [], { mode, missing: 'configmap references non-existent config key', optional })
  }

  secret({ name, items, optional }: SecretProjection, mode = defaultMode) {
    const secret = this.context.objects.secret(this.pod.metadata.namespace!, name!)
    if (!secret && !optional) this.fail(`secret "${name}" not found`)
    this.payload(secretData(secret), items ?? [], { mode, missing: 'references non-existent secret key', optional })
  }

  /** All keys, or the named ones at their paths. */
  payload(data: ReadonlyMap<string, Buffer>, items: readonly KeyToPath[], options: { mode: number; missing: string; optional?: boolean }) {
    if (items.length === 0) for (const [key, bytes] of data) this.files.set(key, { data: bytes, mode: options.mode })
    for (const { key, path, mode } of items) {
      const bytes = data.get(key)
      if (bytes) this.files.set(cleanPath(path), { data: bytes, mode: mode ?? options.mode })
      else if (!options.optional) this.fail(`${options.missing}: ${key}`)
    }
  }

  downward(items: readonly DownwardAPIVolumeFile[], mode = defaultMode) {
    for (const item of items) {
      try {
        const text = item.fieldRef ? fieldValue(this.pod, item.fieldRef, this.context) : resourceValue(this.pod, item.resourceFieldRef!, undefined, this.context)
        this.files.set(cleanPath(item.path), { data: Buffer.from(text), mode: item.mode ?? mode })
      } catch (error) { this.fail((error as Error).message) }
    }
  }

  projected({ sources = [], defaultMode: mode }: ProjectedVolumeSource) {
    for (const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate } of sources) {
      if (configMap) this.configMap(configMap, mode)
      if (secret) this.secret(secret, mode)
      if (downwardAPI) this.downward(downwardAPI.items ?? [], mode)
      if (serviceAccountToken) this.token(serviceAccountToken.path, mode)
      if (clusterTrustBundle || podCertificate) this.fail(`the projection ${clusterTrustBundle ? 'clusterTrustBundle' : 'podCertificate'} is not supported by this kubelet`)
    }
  }

  /** KEP-1205: with one runAsUser for all containers the token is that user's alone; fsGroup may read it. */
  token(path: string, mode = defaultMode) {
    const wish = tokenWishes(this.pod).find(wish => wish.volume === this.volume.name && wish.path === path)!
    const data = Buffer.from(this.context.token(wish))
    const uid = commonUser(this.pod)
    if (this.pod.spec.securityContext?.fsGroup !== undefined) this.files.set(cleanPath(path), { data, mode: 0o640 })
    else this.files.set(cleanPath(path), { data, ...(uid === undefined ? { mode } : { mode: 0o600, uid }) })
  }
}

function commonUser({ spec }: Pod): number | undefined {
  const users = new Set([...spec.initContainers ?? [], ...spec.containers].map(({ securityContext }) => securityContext?.runAsUser ?? spec.securityContext?.runAsUser))
  return users.size === 1 ? [...users][0] : undefined
}

const cleanPath = (path: string) => path.split('/').filter(part => part !== '' && part !== '.').join('/')

const configMapData = (map: ConfigMap | undefined) => new Map([
  ...Object.entries(map?.data ?? {}).map(([key, text]): [string, Buffer] => [key, Buffer.from(text)]),
  ...Object.entries(map?.binaryData ?? {}).map(([key, base64]): [string, Buffer] => [key, Buffer.from(base64, 'base64')]),
])
const secretData = (secret: Secret | undefined) =>
  new Map(Object.entries(secret?.data ?? {}).map(([key, base64]): [string, Buffer] => [key, Buffer.from(base64, 'base64')]))

/** When a token must be replaced: at 80 % of its life, at the latest after 24 hours (upstream's requiresRefresh). */
export function refreshAt(issuedAt: number, expiresAt: number): number {
  return issuedAt + Math.min((expiresAt - issuedAt) * 0.8, 24 * 3_600_000)
}
