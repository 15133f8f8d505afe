// One program: the first word picks the command. Each command's code is loaded only when it runs,
// so that a pod that is kube-proxy never pays for the API server.
import { CommandError, StatusError, UserError } from '#lib/errors.ts'

type Main = (argv: string[]) => Promise<number>

const commands: Record<string, () => Promise<{ main: Main }>> = {
  server: () => import('#up/server.ts'),
  agent: () => import('#kubelet/main.ts'),
  proxy: () => import('#proxy/main.ts'),
  agnhost: () => import('#agnhost/main.ts'),
}

async function run([command, ...argv]: string[]): Promise<number> {
  const load = commands[command ?? 'help'] ?? (() => import('#cli/main.ts'))
  const { main } = await load()
  return main(commands[command ?? 'help'] ? argv : command === undefined ? ['help'] : [command, ...argv])
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  // A bug keeps its stack; what a person or a tool did wrong is one clear sentence.
  if (!(error instanceof UserError || error instanceof StatusError || error instanceof CommandError)) throw error
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
}
