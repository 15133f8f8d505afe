// The commands for people: help, and which file does what.
import { UserError } from '#lib/errors.ts'
import { fairwayVersion, kubernetesVersion } from '#up/version.ts'
import { commands, completion, help, overview } from './commands.ts'

type Run = (argv: string[]) => Promise<number>

const run: Record<string, () => Promise<Run>> = {
  down: async () => (await import('./cluster/apply.ts')).down,
  status: async () => (await import('./cluster/apply.ts')).status,
  kubeconfig: async () => (await import('./kubeconfig/apply.ts')).kubeconfig,
  kubectl: async () => (await import('./kubectl/apply.ts')).kubectl,
  shell: async () => (await import('./shell/apply.ts')).shell,
  logs: async () => (await import('./logs/apply.ts')).logs,
  explain: async () => (await import('./explain/apply.ts')).explainCommand,
  export: async () => (await import('./export/apply.ts')).exportReport,
  image: async () => (await import('./image/apply.ts')).image,
  test: async () => (await import('./test/apply.ts')).test,
}

const print = (text: string): number => { process.stdout.write(text); return 0 }

export async function main([name = 'help', ...argv]: string[]): Promise<number> {
  if (['help', '-h', '--help'].includes(name)) return print(argv[0] && commands[argv[0]] ? help(argv[0]) : overview())
  if (name === 'version' || name === '--version') return print(`fairway ${fairwayVersion} (Kubernetes ${kubernetesVersion})\n`)
  if (!commands[name]) throw new UserError(`unknown command "${name}": see fairway --help${nearest(name)}`)
  const asksForHelp = name !== 'kubectl' && ['-h', '--help'].includes(argv[0] ?? '')
  if (asksForHelp) return print(help(name))
  if (name === 'completion') {
    const script = completion(argv[0] ?? '')
    if (!script) throw new UserError('completion takes bash or zsh')
    return print(script)
  }
  return (await run[name]!())(argv)
}

const nearest = (name: string): string => {
  const near = Object.keys(commands).find(command => command.startsWith(name.slice(0, 3)) || name.startsWith(command.slice(0, 3)))
  return near ? ` (did you mean "${near}"?)` : ''
}
