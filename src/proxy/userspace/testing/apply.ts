// Starts the process of main.ts in a network namespace, and speaks to it.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Family } from '#net/ip.ts'
import type { Applied, NodeOptions } from '../../dataplane.ts'
import type { ProxiedPort } from '../../state.ts'
import type { Answer, Command } from './main.ts'

export class ProxyProcess {
  readonly #child: ChildProcess
  #last: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess) { this.#child = child }

  get pid(): number { return this.#child.pid! }

  /** `netns` is the namespace's path; undefined for our own. `command` is `iptables-nft`, ... */
  static async start({ netns, family, command, settings = [] }: { netns?: string; family: Family; command: string; settings?: readonly (readonly [string, unknown])[] }): Promise<ProxyProcess> {
    const argv = [...netns ? ['nsenter', `--net=${netns}`, '--'] : [], process.execPath, join(import.meta.dirname, 'main.ts')]
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const proxy = new ProxyProcess(child)
    await proxy.#ask({ do: 'start', family, command, settings })
    return proxy
  }

  async apply(ports: readonly ProxiedPort[], options: NodeOptions): Promise<Applied> { return (await this.#ask({ do: 'apply', ports, options })).applied! }
  async checkFlushed(): Promise<boolean> { return (await this.#ask({ do: 'checkFlushed' })).flushed! }

  /** Removes its rules and ends. */
  async stop(): Promise<void> {
    await this.#ask({ do: 'stop' })
    await this.kill()
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async #ask(command: Command): Promise<Answer> {
    const asked = this.#last.then(async () => {
      const answered = once(this.#child, 'message')
      this.#child.send(command)
      return (await answered)[0] as Answer
    })
    this.#last = asked
    const answer = await asked
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }
}
