// The edge of the built-in images: looks at this machine, writes a layer into a directory once,
// and fills the compile cache that Fairway's own programs start from inside pods.
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { CommandError } from '#lib/errors.ts'
import type { Entry, Machine } from './layer.ts'

const run = promisify(execFile)

/** Takes two short runs of programs (about 5 ms); ask once. */
export async function probeMachine(): Promise<Machine> {
  const [nginx, busybox] = await Promise.all([nginxVersion(), busyboxApplets()])
  const name = /^NAME="?([^"\n]*)/m.exec(readIfThere('/usr/lib/os-release'))?.[1] ?? 'the machine'
  return {
    distribution: name.replace(/ GNU\/Linux$/, ''), nginx, busybox,
    sbin: busybox?.applets.filter(applet => existsSync(`/usr/sbin/${applet}`)) ?? [],
    links: linksOf('/').filter(([name, target]) => /^(bin|sbin|lib\w*)$/.test(name) && target.startsWith('usr/')),
    alternatives: linksOf('/etc/alternatives').filter(([, target]) => !/\/man\/|\.gz$/.test(target)),
    manyUsers: readIfThere('/proc/self/uid_map').split('\n').some(line => Number(line.trim().split(/\s+/)[2]) > 1),
  }
}

async function nginxVersion(): Promise<string | undefined> {
  if (!existsSync('/usr/sbin/nginx')) return undefined
  const { stderr } = await run('/usr/sbin/nginx', ['-v']).catch(() => ({ stderr: '' }))
  return /nginx\/([\d.]+)/.exec(stderr)?.[1]
}

async function busyboxApplets(): Promise<Machine['busybox']> {
  if (!existsSync('/usr/bin/busybox')) return undefined
  const { stdout } = await run('/usr/bin/busybox', []).catch(() => ({ stdout: '' }))
  const [version] = /BusyBox v([\d.]+)/.exec(stdout)?.slice(1) ?? []
  const list = stdout.split('Currently defined functions:')[1]
  return version && list ? { version, applets: list.split(/[,\s]+/).filter(Boolean) } : undefined
}

function linksOf(directory: string): [string, string][] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true }).filter(entry => entry.isSymbolicLink())
    .map(({ name }) => [name, readlinkSync(join(directory, name))])
}

const readIfThere = (path: string) => existsSync(path) ? readFileSync(path, 'utf8') : ''

/** The layer's directory below `directory`, made when it is not there yet; whole or not at all. */
export async function makeLayer(directory: string, name: string, entries: readonly Entry[]): Promise<string> {
  const version = fingerprint(entries)
  const target = join(directory, version, name)
  if (existsSync(target)) return target
  const temporary = join(directory, `.new-${name}-${randomBytes(6).toString('hex')}`)
  mkdirSync(temporary, { recursive: true })
  chmodSync(temporary, 0o755)
  const made = new Set<string>([temporary])
  for (const entry of entries) write(temporary, entry, made)
  await makeFifos(entries.flatMap(entry => entry.kind === 'fifo' ? [join(temporary, entry.path)] : []))
  mkdirSync(dirname(target), { recursive: true })
  try {
    renameSync(temporary, target)
  } catch (error) { // another process was faster, and its layer is the same
    if (!existsSync(target)) throw error
    rmSync(temporary, { recursive: true })
  }
  return target
}

function write(root: string, entry: Entry, made: Set<string>): void {
  const path = join(root, entry.path)
  makeParents(dirname(path), made)
  switch (entry.kind) {
    case 'dir':
      makeParents(path, made)
      return chmodSync(path, entry.mode ?? 0o755)
    case 'file':
      writeFileSync(path, entry.text)
      return chmodSync(path, entry.mode ?? 0o644)
    case 'link':
      return symlinkSync(entry.target, path)
    case 'copy':
      if (!existsSync(entry.from)) return
      copyFileSync(entry.from, path)
      return chmodSync(path, 0o644)
    case 'fifo': return // made by a program, all at once
  }
}

/** The modes are set by hand: the umask of a process that keeps secrets must not reach into images. */
function makeParents(path: string, made: Set<string>): void {
  if (made.has(path)) return
  makeParents(dirname(path), made)
  mkdirSync(path)
  chmodSync(path, 0o755)
  made.add(path)
}

async function makeFifos(paths: string[]): Promise<void> {
  if (paths.length === 0) return
  await run('mkfifo', ['-m', '666', ...paths]).catch((error: { code?: number | string; stderr?: string }) => {
    throw new CommandError(['mkfifo', ...paths], typeof error.code === 'number' ? error.code : 127, error.stderr ?? 'install coreutils')
  })
}

/** Changes with Fairway, with the machine's programs, and with the machine's files that are copied. */
function fingerprint(entries: readonly Entry[]): string {
  const hash = createHash('sha256').update(JSON.stringify(entries))
  for (const entry of entries) if (entry.kind === 'copy' && existsSync(entry.from)) hash.update(`${statSync(entry.from).mtimeMs} ${statSync(entry.from).size}`)
  return hash.digest('hex').slice(0, 12)
}

/** What `node` compiles of these entry modules, kept in `<directory>/cache`, as seen from /opt/fairway in a pod. */
export async function seedCompileCache(directory: string, { fairwayRoot, nodePath }: { fairwayRoot: string; nodePath: string }): Promise<void> {
  const stamp = join(directory, 'stamp')
  const state = `${nodePath} ${statSync(nodePath).mtimeMs}\n${sourceState(join(fairwayRoot, 'src'))}`
  if (readIfThere(stamp) === state) return
  for (const name of ['src', 'node_modules', 'package.json']) {
    rmSync(join(directory, name), { force: true })
    symlinkSync(join(fairwayRoot, name), join(directory, name))
  }
  const entries = ['proxy/main.ts', 'dns/main.ts', ...readdirSync(join(fairwayRoot, 'src/agnhost'), { withFileTypes: true }).filter(entry => entry.isDirectory())
    .flatMap(({ name }) => ['server.ts', 'main.ts'].map(file => `agnhost/${name}/${file}`)), 'main.ts'] // the last one runs, and ends the process
    .filter(file => existsSync(join(fairwayRoot, 'src', file)))
  const urls = entries.map(file => pathToFileURL(join(directory, 'src', file)).href)
  // The cache's names are relative to its own directory (portable), so links that stand to it as the
  // mounts in a pod do give the names that a pod will look for.
  await run(nodePath, ['--preserve-symlinks', '--preserve-symlinks-main', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e',
    `process.argv[2] = 'agnhost'; process.argv[3] = 'help'; for (const url of ${JSON.stringify(urls)}) await import(url)`],
  { env: { NODE_COMPILE_CACHE: join(directory, 'cache'), NODE_COMPILE_CACHE_PORTABLE: '1' }, timeout: 30_000 })
  writeFileSync(stamp, state)
}

const sourceState = (src: string) => readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts')).sort()
  .map(file => { const { mtimeMs, size } = statSync(join(src, file)); return `${file} ${size} ${mtimeMs}` }).join('\n')
