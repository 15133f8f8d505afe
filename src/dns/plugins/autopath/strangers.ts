// Askers that nobody knows. A pod can ask before the watch has told us of it; another replica may
// know it already, and would answer differently. So a stranger's missing name waits a moment for
// the pod to become known; who stays unknown (a node, a host outside) waits no more for a while.

const patience = 250, pause = 10, forgetAfter = 30_000, most = 4096

export interface Waiting { now(): number; later(ms: number, call: () => void): () => void }

export class Strangers {
  readonly #until = new Map<string, number>()
  readonly #env: Waiting
  constructor(env: Waiting) { this.#env = env }

  /** Whether to wait for this asker. */
  mayArrive(address: string): boolean {
    const until = this.#until.get(address)
    return until === undefined || until <= this.#env.now()
  }

  /** Tries `known` until it gives something, at most a quarter of a second. */
  wait<T>(address: string, known: () => T | undefined): Promise<T | undefined> {
    const end = this.#env.now() + patience
    return new Promise(resolve => {
      const look = () => {
        const found = known()
        if (found === undefined && this.#env.now() < end) { this.#env.later(pause, look); return }
        if (found === undefined) this.#remember(address)
        resolve(found)
      }
      look()
    })
  }

  #remember(address: string): void {
    if (this.#until.size >= most) this.#until.clear()
    this.#until.set(address, this.#env.now() + forgetAfter)
  }
}
