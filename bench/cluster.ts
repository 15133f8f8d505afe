// What a cluster costs in time and memory, measured as a person would meet it:
//   node bench/cluster.ts [--runs 5]
// cold: a new data directory and no compile cache; warm: again on the same directory. Each figure is
// the median (least .. most) of the runs. Nothing else should run on the machine meanwhile.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, execute, fairway, kubectlProgram, manifest } from '../test/cluster.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' } } })
const runs = Number(values.runs)
const name = `bench${process.pid}`
const kubectl = await kubectlProgram('1.36')

interface Place { dataDir: string; cache: string }
const place = (): Place => ({ dataDir: mkdtempSync(join(tmpdir(), 'fairway-bench-')), cache: mkdtempSync(join(tmpdir(), 'fairway-bench-cache-')) })
const own = ({ dataDir }: Place) => ['--name', name, '--data-dir', dataDir]
// The tools that other clusters of this user have unpacked stay in use: fetching them is not what is measured.
const env = ({ cache }: Place) => ({ NODE_COMPILE_CACHE: join(cache, 'compile') })

async function timed(what: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await what()
  return performance.now() - start
}
async function must(argv: string[], environment: NodeJS.ProcessEnv = {}, input?: string): Promise<string> {
  const result = await execute(argv, { env: environment, timeoutMs: 120_000, ...(input !== undefined && { input }) })
  if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stdout}${result.stderr}`)
  return result.stdout
}
const up = (at: Place) => timed(() => must([fairway, 'up', '--detach', ...own(at)], env(at)))
const down = (at: Place) => must([fairway, 'down', ...own(at)])
const k = (at: Place, args: string[], input?: string) => must([kubectl, ...args], { KUBECONFIG: join(at.dataDir, 'kubeconfig') }, input)

function pssOf(pid: number): number {
  let total = 0
  try { total = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) } catch { return 0 }
  for (const thread of existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : []) {
    try { for (const child of readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ')) if (child) total += pssOf(Number(child)) } catch { /* ended */ }
  }
  return total
}
const memoryMb = (at: Place) => pssOf((JSON.parse(readFileSync(join(at.dataDir, 'run.json'), 'utf8')) as { pid: number }).pid) / 1024

async function firstAnswer(at: Place): Promise<number> {
  const yaml = readFileSync(manifest('c01-hostnames'), 'utf8')
  // The caller is ready before the clock starts: it asks for the ClusterIP as soon as there is one, again and again.
  const script = `until ip=$(${kubectl} get service hostnames -o 'jsonpath={.spec.clusterIP}' 2>/dev/null) && [ -n "$ip" ]; do :; done; until curl -sf -o /dev/null --max-time 1 http://$ip/; do :; done`
  const took = await timed(async () => {
    const caller = must([fairway, 'shell', ...own(at), 'k8s-node01', '--', 'sh', '-c', script])
    await k(at, ['create', '-f', '-'], yaml)
    await caller
  })
  await k(at, ['delete', '-f', '-', '--wait=true'], yaml)
  await eventually(async () => { if ((await k(at, ['get', 'pods', '-o', 'name'])) !== '') throw new Error('pods still there') })
  return took
}

async function hundredPods(at: Place): Promise<number> {
  const yaml = `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: hundred}\nspec:\n  replicas: 100\n  selector: {matchLabels: {app: hundred}}\n  template:\n    metadata: {labels: {app: hundred}}\n    spec:\n      containers: [{name: pause, image: registry.k8s.io/pause:3.9}]\n`
  const took = await timed(async () => {
    await k(at, ['create', '-f', '-'], yaml)
    await k(at, ['rollout', 'status', 'deployment/hundred', '--timeout=60s'])
  })
  await k(at, ['delete', 'deployment', 'hundred'])
  await eventually(async () => { if ((await k(at, ['get', 'pods', '-o', 'name'])) !== '') throw new Error('pods still there') }, 60_000)
  return took
}

const figures: Record<string, number[]> = {}
const note = (what: string, value: number) => { (figures[what] ??= []).push(value); process.stderr.write(`${what}: ${value.toFixed(0)}\n`) }

for (let run = 0; run < runs; run++) {
  const at = place()
  try {
    note('up, cold (ms)', await up(at))
    await down(at)
    note('up, warm (ms)', await up(at))
    await sleep(3000) // start-up garbage is collected
    note('memory of everything, PSS (MB)', memoryMb(at))
    note('Deployment and Service created until answered (ms)', await firstAnswer(at))
    note('100 pods created until Ready (ms)', await hundredPods(at))
    note('down (ms)', await timed(() => down(at)))
  } finally {
    await execute([fairway, 'down', ...own(at), '--purge'])
    for (const folder of [at.dataDir, at.cache]) rmSync(folder, { recursive: true, force: true })
  }
}

process.stdout.write(`${cpus().length} x ${cpus()[0]!.model}, load ${loadavg()[0]!.toFixed(1)}, ${runs} runs: median (least .. most)\n`)
for (const [what, all] of Object.entries(figures)) {
  const sorted = all.toSorted((a, b) => a - b)
  process.stdout.write(`${what.padEnd(56)}${sorted[sorted.length >> 1]!.toFixed(0).padStart(7)}  (${sorted[0]!.toFixed(0)} .. ${sorted.at(-1)!.toFixed(0)})\n`)
}
