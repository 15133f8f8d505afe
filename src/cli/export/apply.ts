// `fairway export DIR`: what a bug report needs. Each part is taken on its own: what cannot be had is
// named in the report rather than ending it. Secrets and keys are never in it.
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { readKubeconfig } from '#client/kubeconfig.ts'
import { groupVersion, resources, type Resource } from '#api/resources.ts'
import { UserError } from '#lib/errors.ts'
import { toYaml } from '#lib/yaml.ts'
import { run as runCommand } from '#host/run.ts'
import { clusterFiles } from '#up/paths.ts'
import { fairwayVersion } from '#up/version.ts'
import { clusterFlags, clusterOf, parseFlags } from '../flags.ts'
import { intoCluster, intoMachine } from '../shell/apply.ts'

const perMachine: Record<string, string[]> = {
  'addresses.txt': ['ip', 'addr'], 'routes.txt': ['ip', 'route', 'show', 'table', 'all'], 'iptables.txt': ['iptables-save'],
  'nftables.txt': ['nft', 'list', 'ruleset'], 'conntrack.txt': ['conntrack', '-L'], 'sockets.txt': ['ss', '-tulpn'],
}

export async function exportReport(argv: string[]): Promise<number> {
  const { values, words } = parseFlags('export', argv, clusterFlags)
  if (words.length !== 1) throw new UserError('export needs one folder: fairway export ./report')
  const folder = resolve(words[0]!)
  if (existsSync(folder) && readdirSync(folder).length) throw new UserError(`${folder} is not empty: choose a new folder`)
  const { run, dataDir } = clusterOf(values)
  const files = clusterFiles(dataDir)
  mkdirSync(folder, { recursive: true })
  const missing: string[] = []
  const attempt = async (what: string, take: () => Promise<void> | void) => {
    try { await take() } catch (error) { missing.push(`${what}: ${(error as Error).message.split('\n')[0]}`) }
  }
  writeFileSync(join(folder, 'about.yaml'), toYaml({ fairway: fairwayVersion, node: process.version, kernel: (await runCommand(['uname', '-a'])).stdout.trim(), run }))
  await attempt('logs', () => cpSync(files.logs, join(folder, 'logs'), { recursive: true }))
  await attempt('objects', () => exportObjects(files.kubeconfig, join(folder, 'objects'), attempt))
  for (const machine of await machineNames(files.kubeconfig)) for (const [file, command] of Object.entries(perMachine)) {
    await attempt(`${machine} ${file}`, async () => {
      const { stdout } = await runCommand([...intoCluster(run), ...intoMachine({ hostname: machine, netns: `/run/netns/${machine}` }), ...command], { timeoutMs: 20_000 })
      mkdirSync(join(folder, machine), { recursive: true })
      writeFileSync(join(folder, machine, file), stdout)
    })
  }
  if (missing.length) writeFileSync(join(folder, 'missing.txt'), missing.join('\n') + '\n')
  process.stdout.write(`${folder} holds logs, objects (without secrets) and the rules of every node${missing.length ? `; ${missing.length} parts could not be had, see missing.txt` : ''}\n`)
  return 0
}

async function withClient<T>(kubeconfig: string, use: (client: Client) => Promise<T>): Promise<T> {
  const transport = httpsTransport(readKubeconfig(kubeconfig))
  try { return await use(new Client(transport)) } finally { transport.close() }
}

const machineNames = (kubeconfig: string): Promise<string[]> => withClient(kubeconfig, async client =>
  [...(await client.list(resources.nodes)).items.map(node => node.metadata.name), 'client']).catch(() => ['client'])

async function exportObjects(kubeconfig: string, folder: string, attempt: (what: string, take: () => Promise<void>) => Promise<void>): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const listed = Object.values<Resource>(resources).filter(resource => !resource.createOnly && resource.kind !== 'Secret')
  await withClient(kubeconfig, async client => {
    for (const resource of listed) await attempt(resource.plural, async () => {
      const { items } = await client.list(resource)
      writeFileSync(join(folder, `${resource.plural}.${resource.group || 'core'}.yaml`), toYaml({ apiVersion: groupVersion(resource), kind: `${resource.kind}List`, items }))
    })
  })
}
