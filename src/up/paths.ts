// Where things are on this machine: a cluster's own files, what all clusters share, and this program.
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The folder of the program itself (the checkout). */
export const programRoot = join(import.meta.dirname, '../..')
export const mainFile = join(programRoot, 'src/main.ts')
export const nodeArguments = ['--disable-warning=ExperimentalWarning', mainFile]

const isRoot = () => process.getuid?.() === 0

export const defaultDataDir = (name: string): string =>
  isRoot() ? `/var/lib/fairway/${name}` : join(process.env.XDG_DATA_HOME || join(homedir(), '.local/share'), 'fairway', name)

/** Unpacked Debian packages and the real kubectl: fetched once for all clusters of this user. */
export const cacheDir = (): string => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'fairway')

/** The files below a cluster's data directory, as ARCHITECTURE.md lists them. */
export const clusterFiles = (dataDir: string) => ({
  run: join(dataDir, 'run.json'),
  lock: join(dataDir, 'lock'),
  settings: join(dataDir, 'settings.json'),
  pki: join(dataDir, 'pki'),
  database: join(dataDir, 'state.db'),
  kubeconfig: join(dataDir, 'kubeconfig'),
  insideKubeconfig: join(dataDir, 'admin.conf'),
  agentConfig: join(dataDir, 'agent.json'),
  nodes: join(dataDir, 'nodes'),
  sandboxes: join(dataDir, 'sandboxes'),
  images: join(dataDir, 'images'),
  logs: join(dataDir, 'logs'),
  egress: join(dataDir, 'egress.sock'),
  resolvConf: join(dataDir, 'resolv.conf'),
})
