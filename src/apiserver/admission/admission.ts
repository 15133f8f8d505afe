// Upstream's admission plugins that every cluster has on: NamespaceLifecycle, ServiceAccount,
// DefaultTolerationSeconds and Priority, with the system's own objects protected.
import type { Pod, ServiceAccount, Toleration, Volume } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import type { Admission } from '../rest/backend.ts'
import { forbidden, notFound } from '../rest/errors.ts'
import type { Storage } from '../storage/storage.ts'
import { keepPriority, resolvePriority } from './priority.ts'

export interface AdmissionSettings {
  readonly storage: Storage
  /** Five characters for the name of a pod's token volume. */
  suffix(): string
  sleep(ms: number): Promise<void>
}

// What a namespace's end cannot reach, and what must not be deleted (plugin/namespace/lifecycle).
const immortal = new Set(['default', 'kube-system', 'kube-public'])

export function admission(settings: AdmissionSettings): Admission {
  return {
    async create(draft, resource) {
      namespaceLifecycle(settings.storage, draft, resource)
      if (resource.kind === 'Pod') {
        await serviceAccount(settings, draft as Pod)
        defaultTolerationSeconds(draft as Pod)
        resolvePriority(draft as Pod)
      }
    },
    update(draft, old, resource) {
      if (resource.kind !== 'Pod') return
      defaultTolerationSeconds(draft as Pod)
      keepPriority(draft as Pod, old as Pod)
    },
    delete(object, resource) {
      if (resource.kind === 'Namespace' && immortal.has(object.metadata.name)) {
        throw forbidden(resource, object.metadata.name, 'this namespace may not be deleted')
      }
    },
  }
}

function namespaceLifecycle(storage: Storage, draft: KubeObject, resource: Resource): void {
  if (!resource.namespaced) return
  const name = draft.metadata.namespace ?? ''
  const namespace = storage.get(`namespaces/${name}`)?.value as KubeObject | undefined
  if (!namespace) throw notFound(resources.namespaces, name)
  if (!namespace.metadata.deletionTimestamp) return
  const refusal = forbidden(resource, draft.metadata.name ?? '', `unable to create new content in namespace ${name} because it is being terminated`)
  throw StatusError.from({ ...refusal.status, details: { ...refusal.status.details,
    causes: [{ reason: 'NamespaceTerminating', message: `namespace ${name} is being terminated`, field: 'metadata.namespace' }] } })
}

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'

// The default account follows its namespace within a moment: upstream's plugin waits for it in the same way.
const accountAttempts = 20, accountInterval = 50

async function findAccount({ storage, sleep }: AdmissionSettings, namespace: string | undefined, name: string): Promise<ServiceAccount | undefined> {
  const find = () => storage.get(`serviceaccounts/${namespace}/${name}`)?.value as ServiceAccount | undefined
  for (let attempt = 0; name === 'default' && !find() && attempt < accountAttempts; attempt++) await sleep(accountInterval)
  return find()
}

async function serviceAccount(settings: AdmissionSettings, pod: Pod): Promise<void> {
  const { spec, metadata } = pod
  if (!spec || metadata.annotations?.['kubernetes.io/config.mirror']) return
  spec.serviceAccountName ||= spec.serviceAccount || 'default'
  const account = await findAccount(settings, metadata.namespace, spec.serviceAccountName)
  if (!account) {
    throw forbidden(resources.pods, metadata.name ?? '', `error looking up service account ${metadata.namespace}/${spec.serviceAccountName}: serviceaccount ${JSON.stringify(spec.serviceAccountName)} not found`)
  }
  spec.serviceAccount = spec.serviceAccountName
  if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length) spec.imagePullSecrets = structuredClone(account.imagePullSecrets)
  if (spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(spec, settings.suffix)
}

function mountToken(spec: NonNullable<Pod['spec']>, suffix: () => string): void {
  const known = spec.volumes?.find(volume => volume.name.startsWith('kube-api-access-') && volume.projected)
  const name = known?.name ?? `kube-api-access-${suffix()}`
  let mounted = false
  for (const container of [...spec.initContainers ?? [], ...spec.containers ?? []]) {
    if (container.volumeMounts?.some(mount => mount.mountPath === tokenPath)) continue
    container.volumeMounts = [...container.volumeMounts ?? [], { name, readOnly: true, mountPath: tokenPath }]
    mounted = true
  }
  if (mounted && !known) spec.volumes = [...spec.volumes ?? [], tokenVolume(name)]
}

/** TokenVolumeSource of plugin/pkg/admission/serviceaccount. */
const tokenVolume = (name: string): Volume => ({ name, projected: { defaultMode: 0o644, sources: [
  { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
] } })

const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']

function defaultTolerationSeconds({ spec }: Pod): void {
  if (!spec) return
  const tolerated = (key: string) => spec.tolerations?.some(toleration => (toleration.key === key || !toleration.key) && (toleration.effect === 'NoExecute' || !toleration.effect))
  const added = taints.filter(key => !tolerated(key)).map((key): Toleration => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }))
  if (added.length > 0) spec.tolerations = [...spec.tolerations ?? [], ...added]
}
