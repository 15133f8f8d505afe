// IPVS of this network namespace, through ipvsadm, and what it needs around it: the addresses of the
// machine's interfaces, by ip, and settings of the kernel.
import { CommandError } from '#lib/errors.ts'
import { run, type RunOptions } from './run.ts'
import { readSysctl } from './sysctl.ts'

export interface Ipvs {
  /** All virtual servers, as `ipvsadm -S -n` prints them. */
  save(): Promise<string>
  /** With the numbers of connections, as `ipvsadm -L -n` prints them: at least these virtual servers (`-t 10.96.0.1:80`). */
  list(keys: readonly string[]): Promise<string>
  /** Applies a text of `ipvsadm -R`. Each line takes effect by itself; throws when any of them failed, after the last. */
  restore(text: string): Promise<void>
  /** Seconds; 0 leaves one as it is. */
  setTimeouts(timeouts: { readonly tcp: number; readonly tcpFin: number; readonly udp: number }): Promise<void>
  /** Interface to its addresses, of both families, without lengths. */
  interfaces(): Promise<Map<string, string[]>>
  /** Applies a text of `ip -batch`, up to the first line that fails. */
  ip(text: string): Promise<void>
  /** `net/ipv4/vs/conntrack` to its text; '' where the kernel has none. */
  sysctls(names: readonly string[]): Promise<Map<string, string>>
  setSysctl(name: string, value: string | number): Promise<void>
}

/** Or why there is none. `netns` is the path of a network namespace other than our own. */
export async function findIpvs(netns?: string): Promise<Ipvs | string> {
  // The command loads the kernel's module where it can.
  try { await run(['ipvsadm', '-L', '-n'], { netns }) } catch (error) {
    if (!(error instanceof CommandError)) throw error
    if (error.exitCode === 127) return 'the command ipvsadm is missing: install it (apt install ipvsadm)'
    if (/Permission denied|Operation not permitted/.test(error.stderr)) return 'IPVS is not allowed here: run as root or with CAP_NET_ADMIN'
    return 'this kernel has no IPVS (the module ip_vs): use a kernel that has it, as those of distributions do, or another mode'
  }
  return new SystemIpvs({ netns })
}

/** Whether the kernel has a scheduler; tried in a network namespace that is gone at once. */
export async function hasScheduler(scheduler: string): Promise<boolean> {
  try { await run(['unshare', '--net', 'ipvsadm', '-A', '-t', '127.0.0.1:1', '-s', scheduler]); return true } catch { return false }
}

/** Up to so many are asked for one by one: listing all takes as long as there are Services. */
const fewServers = 4

class SystemIpvs implements Ipvs {
  readonly #options: RunOptions
  constructor(options: RunOptions) { this.#options = options }

  async save(): Promise<string> { return (await this.#run(['ipvsadm', '-S', '-n'])).stdout }

  async list(keys: readonly string[]): Promise<string> {
    if (keys.length > fewServers) return (await this.#run(['ipvsadm', '-L', '-n'])).stdout
    const each = await Promise.allSettled(keys.map(key => this.#run(['ipvsadm', '-L', '-n', ...key.split(' ')])))
    return each.map(result => result.status === 'fulfilled' ? result.value.stdout : '').join('') // one that is gone has no connections
  }

  async restore(text: string): Promise<void> {
    // Its exit status is the last line's alone; a line that failed shows on stderr only.
    const { stderr } = await this.#run(['ipvsadm', '-R'], text)
    if (stderr.trim() !== '') throw new CommandError(['ipvsadm', '-R'], 1, stderr)
  }

  async setTimeouts({ tcp, tcpFin, udp }: { tcp: number; tcpFin: number; udp: number }): Promise<void> {
    await this.#run(['ipvsadm', '--set', String(tcp), String(tcpFin), String(udp)])
  }

  async interfaces(): Promise<Map<string, string[]>> {
    const { stdout } = await this.#run(['ip', '-json', 'address', 'show'])
    const links = JSON.parse(stdout || '[]') as { ifname?: string; addr_info?: { local?: string }[] }[]
    return new Map(links.flatMap(({ ifname, addr_info = [] }) => ifname ? [[ifname, addr_info.flatMap(({ local }) => local ?? [])]] : []))
  }

  async ip(text: string): Promise<void> { await this.#run(['ip', '-batch', '-'], text) }

  async sysctls(names: readonly string[]): Promise<Map<string, string>> {
    const { netns } = this.#options
    if (!netns) return new Map(await Promise.all(names.map(async name => [name, await readSysctl(name) ?? ''] as const)))
    const { stdout } = await this.#run(['sh', '-c', 'for name; do value=; read -r value 2>/dev/null < /proc/sys/$name; echo "$name $value"; done', 'sh', ...names])
    return new Map(stdout.trimEnd().split('\n').map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
  }
  async setSysctl(name: string, value: string | number): Promise<void> {
    try { await this.#run(['tee', `/proc/sys/${name}`], `${value}\n`) } catch (error) {
      throw new Error(`cannot set ${name} to ${value}: ${(error as Error).message}`)
    }
  }

  #run(argv: readonly string[], input?: string) { return run(argv, { ...this.#options, ...input !== undefined && { input } }) }
}
