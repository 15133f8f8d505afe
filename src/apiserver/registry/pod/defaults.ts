// What Kubernetes fills into a pod that its manifest leaves out (pkg/apis/core/v1/defaults.go). A
// workload's template gets the spec's defaults; a pod gets some more when it is made.
import type { Container, Pod, PodSpec, Probe, ResourceRequirements, Volume } from '#api/core/v1.ts'
import { canonicalQuantity } from '#api/quantity.ts'
import { qosClass } from './qos.ts'

const fileMode = 0o644

export function defaultPod(pod: Pod): void {
  defaultPodSpec(pod.spec)
  pod.spec.enableServiceLinks ??= true
  for (const container of [...pod.spec.initContainers ?? [], ...pod.spec.containers ?? []]) {
    defaultRequests(container)
    defaultResizePolicy(container)
    // Templates keep no hostPort since 1.28: only a pod's are filled in.
    if (pod.spec.hostNetwork) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort
  }
  defaultStatus(pod)
}

export function defaultPodSpec(spec: PodSpec): void {
  spec.restartPolicy ||= 'Always'
  spec.terminationGracePeriodSeconds ??= 30
  spec.dnsPolicy ||= 'ClusterFirst'
  spec.schedulerName ||= 'default-scheduler'
  spec.securityContext ??= {}
  // `serviceAccount` is the old name of the same field; both are always shown.
  spec.serviceAccountName ||= spec.serviceAccount
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName
  else { delete spec.serviceAccountName; delete spec.serviceAccount }
  for (const container of [...spec.initContainers ?? [], ...spec.containers ?? [], ...(spec.ephemeralContainers ?? []) as Container[]])
    defaultContainer(container)
  for (const volume of spec.volumes ?? []) defaultVolume(volume)
}

/** The tag that an image name asks for, as Docker reads it: `latest` when it names neither tag nor digest. */
export function imageTag(image: string): string {
  const [name, digest] = image.split('@') as [string, string?]
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/') ? name.slice(colon + 1) : digest ? '' : 'latest'
}
const pullPolicy = (image: string | undefined) => imageTag(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent'

function defaultContainer(container: Container): void {
  container.resources ??= {}
  canonicalResources(container.resources)
  container.terminationMessagePath ||= '/dev/termination-log'
  container.terminationMessagePolicy ||= 'File'
  container.imagePullPolicy ||= pullPolicy(container.image)
  for (const port of container.ports ?? []) port.protocol ||= 'TCP'
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ||= 'v1'
    if (valueFrom?.resourceFieldRef) valueFrom.resourceFieldRef.divisor = canonicalQuantity(valueFrom.resourceFieldRef.divisor ?? '0')
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) if (probe) defaultProbe(probe)
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop]) defaultHttpGet(handler)
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1
  probe.periodSeconds ||= 10
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  if (probe.grpc) probe.grpc.service ??= ''
  defaultHttpGet(probe)
}

function defaultHttpGet(handler: Pick<Probe, 'httpGet'> | undefined): void {
  if (!handler?.httpGet) return
  handler.httpGet.path ||= '/'
  handler.httpGet.scheme ||= 'HTTP'
}

function canonicalResources(resources: ResourceRequirements): void {
  for (const list of [resources.limits, resources.requests])
    for (const [name, value] of Object.entries(list ?? {})) list![name] = canonicalQuantity(value)
}

/** A limit without a request is the request. */
function defaultRequests({ resources }: Container): void {
  for (const [name, value] of Object.entries(resources?.limits ?? {})) {
    resources!.requests ??= {}
    resources!.requests[name] ??= value
  }
}

/** In-place resize (KEP-1287): which resource may change without a restart. */
function defaultResizePolicy(container: Container): void {
  for (const resourceName of ['cpu', 'memory']) {
    const used = container.resources?.limits?.[resourceName] ?? container.resources?.requests?.[resourceName]
    if (used === undefined || container.resizePolicy?.some(policy => policy.resourceName === resourceName)) continue
    container.resizePolicy = [...container.resizePolicy ?? [], { resourceName, restartPolicy: 'NotRequired' }]
  }
}

function defaultVolume(volume: Volume): void {
  if (Object.keys(volume).every(key => key === 'name')) volume.emptyDir = {}
  for (const source of [volume.secret, volume.configMap, volume.downwardAPI, volume.projected]) if (source) source.defaultMode ??= fileMode
  if (volume.hostPath) volume.hostPath.type ??= ''
  if (volume.emptyDir?.sizeLimit) volume.emptyDir.sizeLimit = canonicalQuantity(volume.emptyDir.sizeLimit)
  if (volume.image) volume.image.pullPolicy ||= pullPolicy(volume.image.reference)
  for (const source of volume.projected?.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600
    defaultDownwardItems(source.downwardAPI?.items)
  }
  defaultDownwardItems(volume.downwardAPI?.items)
}

function defaultDownwardItems(items: NonNullable<Volume['downwardAPI']>['items'] | undefined): void {
  for (const { fieldRef, resourceFieldRef } of items ?? []) {
    if (fieldRef) fieldRef.apiVersion ||= 'v1'
    if (resourceFieldRef) resourceFieldRef.divisor = canonicalQuantity(resourceFieldRef.divisor ?? '0')
  }
}

/** `podIP` and `hostIP` are the first of their plural forms; whoever writes one means both. */
function defaultStatus({ spec, status }: Pod): void {
  if (!status) return
  // A kubelet need not repeat it (podStatusStrategy.PrepareForUpdate).
  status.qosClass ||= qosClass(spec)
  if (status.podIP && !status.podIPs?.length) status.podIPs = [{ ip: status.podIP }]
  else if (status.podIPs?.length) status.podIP = status.podIPs[0]!.ip
  if (status.hostIP && !status.hostIPs?.length) status.hostIPs = [{ ip: status.hostIP }]
}
