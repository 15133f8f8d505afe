// `fairway kubeconfig`: prints it, or merges it into (removes it from) the person's own file.
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { parseYaml, toYaml } from '#lib/yaml.ts'
import { clusterFiles } from '#up/paths.ts'
import { clusterFlags, clusterName, dataDirOf, parseFlags } from '../flags.ts'
import { contextName, merged, without, type Kubeconfig } from './merge.ts'

export async function kubeconfig(argv: string[]): Promise<number> {
  const { values } = parseFlags('kubeconfig', argv, { ...clusterFlags, merge: { type: 'boolean' }, remove: { type: 'boolean' }, path: { type: 'boolean' } })
  const own = clusterFiles(dataDirOf(values)).kubeconfig, name = clusterName(values)
  if (values.merge && values.remove) throw new UserError('kubeconfig takes --merge or --remove, not both')
  if (values.remove) return remove(name)
  if (!existsSync(own)) throw new UserError(`cluster "${name}" has no kubeconfig yet: start it with "fairway up"`)
  if (values.merge) return merge(own)
  process.stdout.write(values.path ? `${own}\n` : readFileSync(own, 'utf8'))
  return 0
}

/** The first file of $KUBECONFIG, as kubectl config writes to. */
const theirFile = (): string => process.env.KUBECONFIG?.split(':').find(Boolean) ?? join(homedir(), '.kube/config')

function merge(own: string): number {
  const file = theirFile()
  const result = merged(existsSync(file) ? read(file) : undefined, read(own))
  write(file, result)
  process.stdout.write(`context "${result['current-context']}" is in ${file} and current\n`)
  return 0
}

function remove(cluster: string): number {
  const file = theirFile(), name = contextName(cluster)
  const theirs = existsSync(file) ? read(file) : undefined
  if (!theirs?.contexts?.some(context => context.name === name)) throw new UserError(`${file} has no context "${name}"`)
  write(file, without(theirs, name))
  process.stdout.write(`context "${name}" is out of ${file}\n`)
  return 0
}

function read(file: string): Kubeconfig {
  try { return parseYaml(readFileSync(file, 'utf8'), file) as Kubeconfig } catch (error) {
    throw new UserError(error instanceof SyntaxError ? `${error.message}; nothing was changed` : `cannot read ${file}: ${(error as Error).message}`)
  }
}

function write(file: string, content: Kubeconfig): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const target = existsSync(file) ? realpathSync(file) : file // a symbolic link stays one
  const mode = existsSync(target) ? statSync(target).mode & 0o777 : 0o600
  writeFileSync(`${target}.fairway`, toYaml(content), { mode })
  renameSync(`${target}.fairway`, target)
}
