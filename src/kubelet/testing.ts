// Small builders for the kubelet's own tests: pods, containers and snapshots with only what a case
// is about.
import type { Container as ContainerSpec, Pod, PodSpec } from '#api/core/v1.ts'
import type { Container, PodSandbox } from './runtime/cri.ts'
import type { PodSnapshot } from './pods/snapshot.ts'

export const aPod = (spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default', uid: 'u', ...metadata }, spec: { containers: [{ name: 'c', image: 'web:1' }], restartPolicy: 'Always', ...spec } })

export const aSpec = (name: string, rest: Partial<ContainerSpec> = {}): ContainerSpec => ({ name, image: 'web:1', ...rest })

export const aContainer = (name: string, state: Container['state'], rest: Partial<Container> = {}): Container => ({
  id: `${name}-${rest.attempt ?? 0}`, sandboxId: 's', name, attempt: 0, imageId: 'sha256:w', image: 'web:1', state, createdAt: 0, startedAt: 0, logPath: '',
  ...(state === 'exited' && { finishedAt: 0, exitCode: 0 }), ...rest,
})

export const aSandbox = (rest: Partial<PodSandbox> = {}): PodSandbox => ({
  id: 's', state: 'ready', ips: ['10.244.1.2'], createdAt: 0,
  config: { namespace: 'default', name: 'p', uid: 'u', attempt: 0, hostname: 'p', labels: {}, hostNetwork: false, hostPid: false, resolvConf: '', hosts: '', sysctls: {}, portMappings: [] },
  ...rest,
})

export const aSnapshot = (rest: Partial<PodSnapshot> = {}): PodSnapshot => ({
  pod: aPod(), now: 0, sandbox: aSandbox(), containers: [], memory: new Map(), probes: new Map(), startedAt: 0, volumesReady: true, drained: true, ...rest,
})
