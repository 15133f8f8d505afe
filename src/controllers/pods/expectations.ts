// What a controller has asked for and its informer has not shown yet (upstream's
// UIDTrackingControllerExpectations). Until all of it is seen nothing more is created or deleted:
// this is what prevents doing a thing twice on a copy that lags behind.
import type { KubeObject } from '#api/object.ts'

interface Expected { creations: number; readonly deletions: Set<string>; readonly since: number }

const timeoutMs = 300_000

/** Keys are UIDs of owners; deletions are UIDs of pods. */
export class Expectations {
  readonly #expected = new Map<string, Expected>()

  expect(owner: string, { creations = 0, deletions = [], now }: { creations?: number; deletions?: readonly string[]; now: number }): void {
    this.#expected.set(owner, { creations, deletions: new Set(deletions), since: now })
  }
  creationObserved(owner: string): void {
    const expected = this.#expected.get(owner)
    if (expected) expected.creations--
  }
  deletionObserved(owner: string, pod: string): void { this.#expected.get(owner)?.deletions.delete(pod) }
  /** What the informer shows of the owner's pod. */
  observe(owner: string, { old, now }: { old: KubeObject | undefined; now: KubeObject | undefined }): void {
    if (!old) this.creationObserved(owner)
    if (!now || (now.metadata.deletionTimestamp && !old?.metadata.deletionTimestamp)) this.deletionObserved(owner, (now ?? old)!.metadata.uid!)
  }
  forget(owner: string): void { this.#expected.delete(owner) }

  /** True also after five minutes: an event that was never seen must not stop the controller forever. */
  satisfied(owner: string, now: number): boolean {
    const expected = this.#expected.get(owner)
    return !expected || (expected.creations <= 0 && expected.deletions.size === 0) || now - expected.since > timeoutMs
  }
}
