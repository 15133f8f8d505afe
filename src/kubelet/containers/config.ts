// What the runtime is told to make for one container: upstream's generateContainerConfig. Pure: the
// image, the volumes' places and the environment are found before.
import type { Container, Pod } from '#api/core/v1.ts'
import type { ContainerConfig, Image, Mount } from '../runtime/cri.ts'
import { milliUnits, units } from '../quantity.ts'
import { expand } from './expansion.ts'
import { containerSecurity } from './security.ts'

export interface ConfigInput {
  readonly pod: Pod
  readonly container: Container
  readonly attempt: number
  readonly image: Image
  readonly env: readonly (readonly [string, string])[]
  readonly mounts: readonly Mount[]
  /** `<node root>/log/pods` */
  readonly logRoot: string
}

export function containerConfig({ pod, container, attempt, image, env, mounts, logRoot }: ConfigInput): ContainerConfig {
  const variables = new Map(env)
  const expanded = (texts: readonly string[] = []) => texts.map(text => expand(text, name => variables.get(name)))
  return {
    name: container.name, attempt, imageId: image.id,
    command: expanded(container.command), args: expanded(container.args), workingDir: container.workingDir ?? '',
    env, mounts, stdin: container.stdin === true, tty: container.tty === true,
    logPath: `${podLogFolder(logRoot, pod)}/${container.name}/${attempt}.log`,
    security: containerSecurity(pod, container, image.user),
    resources: resources(container),
  }
}

export const podLogFolder = (logRoot: string, { metadata }: Pod): string =>
  `${logRoot}/${metadata.namespace}_${metadata.name}_${metadata.uid}`

function resources(container: Container): ContainerConfig['resources'] {
  const memoryLimitBytes = units(container.resources?.limits?.memory)
  const cpuLimitMilli = milliUnits(container.resources?.limits?.cpu)
  const cpuRequestMilli = milliUnits(container.resources?.requests?.cpu ?? container.resources?.limits?.cpu)
  return { ...(memoryLimitBytes && { memoryLimitBytes }), ...(cpuLimitMilli && { cpuLimitMilli }), ...(cpuRequestMilli && { cpuRequestMilli }) }
}
