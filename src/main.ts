// One program: the first word picks the command. Each command's code is loaded only when it runs,
// so that a pod that is kube-proxy never pays for the API server.
import { CommandError, StatusError, UserError } from '#lib/errors.ts'

type Main = (argv: string[]) => Promise<number>

/** The commands that run a part of Kubernetes; every other word is one for people, and the cli's. */
const parts: Record<string, () => Promise<Main>> = {
  up: async () => (await import('#up/main.ts')).main,
  outer: async () => (await import('#up/main.ts')).outerMain,
  cluster: async () => (await import('#up/cluster.ts')).main,
  server: async () => (await import('#up/server.ts')).main,
  agent: async () => (await import('#kubelet/main.ts')).main,
  proxy: async () => (await import('#proxy/main.ts')).main,
  dns: async () => (await import('#dns/main.ts')).main,
  agnhost: async () => (await import('#agnhost/main.ts')).main,
}

async function run(words: string[]): Promise<void> {
  const part = parts[words[0] ?? '']
  if (!part) { process.exitCode = await (await import('#cli/main.ts')).main(words); return }
  const main = await part()
  // A cluster starts its parts while it still builds what they stand on: loading code takes longer.
  if (process.env.FAIRWAY_START === 'when told') await new Promise(resolve => process.once('message', resolve))
  process.off('SIGTERM', endEarly)
  const code = await main(words.slice(1))
  process.exit(code) // sockets and timers that are still open must not keep a part alive that has ended
}

// The kernel keeps signals without a handler from process 1 of a PID namespace: a pod that is told to
// end while its code still loads would never hear of it. Each part has its own handlers later.
const endEarly = () => process.exit(143)
if (process.pid === 1) process.once('SIGTERM', endEarly)

try {
  await run(process.argv.slice(2))
} catch (error) {
  // A bug keeps its stack; what a person or a tool did wrong is one clear sentence.
  if (!(error instanceof UserError || error instanceof StatusError || error instanceof CommandError)) throw error
  process.stderr.write(`error: ${error.message}\n`)
  process.exitCode = 1
}
