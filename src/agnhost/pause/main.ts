// agnhost pause: waits for a signal and exits 2 on SIGTERM, 1 on SIGINT, as upstream's does.
import { untilSignal } from '../server.ts'

export async function run(): Promise<number> {
  const signal = untilSignal()
  process.stdout.write('Paused\n')
  const alive = setInterval(() => {}, 1 << 30) // a signal listener alone does not keep Node running
  const status = await signal === 'SIGINT' ? 1 : 2
  clearInterval(alive)
  process.stdout.write(`exiting ${status}\n`)
  return status
}
