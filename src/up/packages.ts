// Tools that a cluster needs and this machine lacks, as Debian packages: fetched with apt into a
// folder of our own and only unpacked there, never installed, so that nothing of the host changes
// and no service of it starts. The cluster's namespaces see the folder over their /usr.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { run } from '#host/run.ts'
import { cacheDir } from './paths.ts'

/** A program, the package that has it, and whether a cluster starts without it. */
interface Tool { readonly program: string; readonly package: string; readonly needed: boolean }

const tools: readonly Tool[] = [
  { program: 'ip', package: 'iproute2', needed: true },
  { program: 'nft', package: 'nftables', needed: true },
  { program: 'iptables', package: 'iptables', needed: true },
  { program: 'conntrack', package: 'conntrack', needed: true },
  { program: 'busybox', package: 'busybox', needed: true },
  { program: 'nginx', package: 'nginx', needed: false },
  { program: 'curl', package: 'curl', needed: false },
  { program: 'dig', package: 'bind9-dnsutils', needed: false },
  { program: 'ping', package: 'iputils-ping', needed: false },
]

const binFolders = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin']
const has = (root: string, program: string) => binFolders.some(folder => existsSync(join(root, folder, program)))

export const toolsDir = (): string => join(cacheDir(), 'tools')

/** The folder to lay over /usr, or undefined when the machine has everything. */
export async function ensureTools(options: { install: boolean; tell: (line: string) => void }): Promise<string | undefined> {
  const root = toolsDir()
  const complete = join(root, '.complete')
  const missing = tools.filter(tool => !has('/', tool.program) && !has(root, tool.program))
  if (missing.length && (options.install || missing.some(tool => tool.needed)) && !triedBefore(complete, missing)) {
    if (!options.install) throw new UserError(`missing programs: ${missing.filter(t => t.needed).map(t => t.program).join(', ')}; ` +
      `install them ('apt-get install ${missing.map(t => t.package).join(' ')}') or leave --no-install out`)
    await unpack(root, missing, options.tell)
    writeFileSync(complete, missing.map(tool => tool.program).join('\n') + '\n')
  }
  const still = tools.filter(tool => tool.needed && !has('/', tool.program) && !has(root, tool.program))
  if (still.length) throw new UserError(`these programs could not be had: ${still.map(t => t.program).join(', ')}; ` +
    `install them with 'apt-get install ${still.map(t => t.package).join(' ')}'`)
  return existsSync(join(root, 'usr')) ? join(root, 'usr') : undefined
}

// An optional package that this machine's archives do not have is asked for once, not at every start.
const triedBefore = (complete: string, missing: readonly Tool[]) => existsSync(complete) && missing.every(tool => !tool.needed)

async function unpack(root: string, missing: readonly Tool[], tell: (line: string) => void): Promise<void> {
  if (!has('/', 'apt-get') || !has('/', 'dpkg-deb')) throw new UserError(
    `missing programs: ${missing.map(t => t.program).join(', ')}; this machine has no apt, so install them with its own package manager`)
  tell(`fetching Debian packages into ${root} (nothing is installed): ${missing.map(tool => tool.package).join(' ')}`)
  const apt = join(cacheDir(), 'apt')
  for (const folder of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true })
  const own = ['-q', '-y', '-o', `Dir::State=${apt}/state`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${apt}/cache`,
    '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=']
  await run(['apt-get', ...own, 'update'], { timeoutMs: 120_000 })
  const available: Tool[] = []
  for (const tool of missing) {
    try { await run(['apt-cache', ...own.slice(2), 'show', '--no-all-versions', tool.package]); available.push(tool) } catch { /* an archive without it */ }
  }
  if (available.length) await run(['apt-get', ...own, 'install', '--reinstall', '--download-only', '--no-install-recommends', ...available.map(tool => tool.package)], { timeoutMs: 300_000 })
  const staging = `${root}.new`
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging, { recursive: true })
  const archives = join(apt, 'cache/archives')
  for (const file of readdirSync(archives).filter(name => name.endsWith('.deb'))) await run(['dpkg-deb', '-x', join(archives, file), staging])
  await mergeUsr(staging)
  linkIptables(join(staging, 'usr/sbin'))
  rmSync(root, { recursive: true, force: true })
  renameSync(staging, root)
}

// Older packages still ship /bin, /sbin and /lib; we overlay /usr alone (merged-usr).
async function mergeUsr(root: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(join(root, folder))) continue
    mkdirSync(join(root, 'usr', folder), { recursive: true })
    await run(['cp', '-a', `${join(root, folder)}/.`, join(root, 'usr', folder)])
    rmSync(join(root, folder), { recursive: true })
  }
}

// What the package's postinst would do through /etc/alternatives.
function linkIptables(sbin: string): void {
  if (!existsSync(join(sbin, 'xtables-nft-multi'))) return
  for (const family of ['iptables', 'ip6tables']) for (const verb of ['', '-save', '-restore']) {
    rmSync(join(sbin, family + verb), { force: true })
    symlinkSync('xtables-nft-multi', join(sbin, family + verb))
  }
}
