// The container runtime of one node: keeps the records of its sandboxes and containers, has the sandbox
// thread do the work, and carries streams and logs. Everything it made dies with this process; what is
// left on disk goes at the next start.
import { createHash } from 'node:crypto'
import { connectIn, netnsPath } from '#host/netns.ts'
import type { Runtime } from '../cri.ts'
import { createContainer, removeContainer, startContainer, stopContainer } from './containers/apply.ts'
import { attach, exec, execSync } from './exec/apply.ts'
import { podRange } from './ipam.ts'
import { containerView, sandboxView } from './records.ts'
import { removePodSandbox, runPodSandbox, stopPodSandbox } from './sandboxes/apply.ts'
import type { Node, RuntimeOptions } from './state.ts'
import { sweep } from './sweep/apply.ts'
import { sandboxThread } from './worker/apply.ts'

export type { RuntimeOptions } from './state.ts'

type Listener = Parameters<Runtime['onEvent']>[0]

/** Needs the node's network (applyNodeNetwork). Removes what an earlier run of the node left. */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const listeners = new Set<Listener>(), said = new Set<string>()
  const node: Node = {
    options, thread: sandboxThread(), range: podRange(options.podCidr), lastOffset: 1,
    sandboxes: new Map(), containers: new Map(), live: new Map(),
    cgroups: `${options.cgroup ?? `fairway-${createHash('sha256').update(options.sandboxRoot).digest('hex').slice(0, 12)}`}/${options.nodeName}`,
    emit(sandbox, containerId) {
      const event = { sandboxId: sandbox.id, podUid: sandbox.config.uid, ...(containerId !== undefined && { containerId }) }
      for (const listener of listeners) listener(event)
    },
    warnOnce(message, values) {
      if (said.has(message)) return
      said.add(message)
      options.log.warn(message, values)
    },
  }
  await sweep(node)
  return { ...runtime(node), onEvent: listener => { listeners.add(listener) } }
}

function runtime(node: Node): Omit<Runtime, 'onEvent'> {
  const { images, netns } = node.options
  return {
    imageStatus: reference => images.imageStatus(reference),
    pullImage: (reference, auths) => images.pullImage(reference, auths),
    listImages: () => images.listImages(),
    runPodSandbox: config => runPodSandbox(node, config),
    stopPodSandbox: id => stopPodSandbox(node, id),
    removePodSandbox: id => removePodSandbox(node, id),
    listPodSandboxes: () => [...node.sandboxes.values()].map(sandboxView),
    createContainer: (sandboxId, config) => createContainer(node, sandboxId, config),
    startContainer: id => startContainer(node, id),
    stopContainer: (id, graceSeconds) => stopContainer(node, id, graceSeconds),
    removeContainer: id => removeContainer(node, id),
    listContainers: () => [...node.containers.values()].map(containerView),
    exec: (id, command) => exec(node, id, command),
    attach: (id, how) => attach(node, id, how),
    execSync: (id, command, timeoutMs) => execSync(node, id, { command, timeoutMs }),
    dial(id, host, port) {
      const sandbox = node.sandboxes.get(id)
      if (sandbox?.state !== 'ready') return Promise.reject(new Error(`sandbox ${id} is not running`))
      return connectIn(sandbox.offset === undefined ? netns : netnsPath(id), { host, port })
    },
  }
}
