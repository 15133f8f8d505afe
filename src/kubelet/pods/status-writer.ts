// Sends one pod's status to the API: what is set within a few milliseconds travels together, one
// request at a time, again until it arrives. It does not decide what the status is.
import type { Pod, PodStatus } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { Clock } from '#lib/clock.ts'
import { isNotFound, StatusError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { statusPatch } from './patch.ts'

const coalesceMs = 3, retryMs = 1_000

export interface StatusWriterOptions { readonly client: Client; readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal }

export class StatusWriter {
  /** The status that the API has, as far as we know. */
  sent: PodStatus | undefined
  readonly #pod: Pod
  readonly #options: StatusWriterOptions
  #wanted: PodStatus | undefined
  #writing: Promise<void> | undefined

  constructor(pod: Pod, options: StatusWriterOptions) {
    this.#pod = pod
    this.sent = pod.status
    this.#options = options
  }

  set(status: PodStatus): void {
    this.#wanted = status
    this.#writing ??= this.#write().finally(() => { this.#writing = undefined })
  }

  /** Resolves when everything set so far is in the API, or the pod is gone. */
  async flush(): Promise<void> { await this.#writing }

  async #write(): Promise<void> {
    const { clock, signal, log } = this.#options
    await clock.sleep(coalesceMs, signal).catch(() => {})
    while (this.#wanted && !signal.aborted) {
      const wanted = this.#wanted
      try {
        await this.#patch(wanted)
        this.sent = wanted
        if (this.#wanted === wanted) this.#wanted = undefined
      } catch (error) {
        if (isNotFound(error) || (error instanceof StatusError && error.status.code === 409)) { this.#wanted = undefined; return }
        log.warn('pod status not written, will retry', { pod: this.#pod.metadata.name, err: (error as Error).message })
        await clock.sleep(retryMs, signal).catch(() => {})
      }
    }
  }

  async #patch(wanted: PodStatus): Promise<void> {
    const { uid, namespace, name } = this.#pod.metadata
    const patch = statusPatch(uid!, this.sent, wanted)
    if (patch) await this.#options.client.patch(resources.pods, namespace, name, patch, { type: 'strategic', subresource: 'status' })
  }
}
