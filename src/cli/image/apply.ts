// `fairway image load` and `fairway image ls`: the images of a cluster, straight in its data directory.
import { existsSync } from 'node:fs'
import { UserError } from '#lib/errors.ts'
import { toYaml } from '#lib/yaml.ts'
import { listImages, loadImages } from '#up/images.ts'
import { clusterFlags, dataDirOf, parseFlags } from '../flags.ts'
import { columns } from '../cluster/status.ts'

export async function image(argv: string[]): Promise<number> {
  const { values, words: [verb, ...words] } = parseFlags('image', argv, { ...clusterFlags, output: { type: 'string', short: 'o' } })
  const dataDir = dataDirOf(values)
  if (!existsSync(dataDir)) throw new UserError(`no cluster has its files in ${dataDir}: start one with "fairway up" first`)
  if (verb === 'load' && words.length > 0) return load(dataDir, words)
  if ((verb === 'ls' || verb === 'list') && words.length === 0) return list(dataDir, values.output)
  throw new UserError('use "fairway image load FILE.tar" or "fairway image ls"')
}

async function load(dataDir: string, files: string[]): Promise<number> {
  for (const file of files) {
    if (!existsSync(file)) throw new UserError(`${file} does not exist`)
    for (const loaded of await loadImages(dataDir, file)) process.stdout.write(`loaded ${loaded.tags.join(', ') || loaded.id}\n`)
  }
  return 0
}

async function list(dataDir: string, output: string | boolean | undefined): Promise<number> {
  const images = await listImages(dataDir)
  if (output === 'json') process.stdout.write(JSON.stringify(images, undefined, 2) + '\n')
  else if (output === 'yaml') process.stdout.write(toYaml(images))
  else process.stdout.write(columns([['IMAGE', 'ID', 'SIZE', 'STANDS IN'],
    ...images.map(item => [item.tags[0] ?? '<none>', item.id.startsWith('builtin:') ? 'built-in' : item.id.replace(/^sha256:/, '').slice(0, 12), `${(item.sizeBytes / 1e6).toFixed(1)} MB`, item.standIn ?? ''])]).join('\n') + '\n')
  return 0
}
