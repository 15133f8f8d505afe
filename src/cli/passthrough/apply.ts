// Running another program in our place: our terminal, its exit status, and every signal that we get.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { UserError } from '#lib/errors.ts'

/** Runs a command on our own terminal; resolves with its exit status, 128 + n when signal n ended it. */
export function passThrough(argv: string[], env: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), { stdio: 'inherit', env: { ...process.env, ...env } })
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGWINCH', 'SIGUSR1', 'SIGUSR2'] as const
    // A terminal signals the child itself; what others send to us is passed on.
    const pass = (signal: NodeJS.Signals) => {
      if (!process.stdin.isTTY || !['SIGINT', 'SIGQUIT', 'SIGWINCH'].includes(signal)) process.kill(commandBelow(child.pid!), signal)
    }
    for (const signal of signals) process.on(signal, pass)
    child.once('error', error => reject(new UserError(`cannot run ${argv[0]}: ${error.message}`)))
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, pass)
      resolve(code ?? 128 + (constants.signals[signal!] ?? 0))
    })
  })
}

/** nsenter(1) forks to enter a PID namespace and passes no signal on: its child is the command. */
function commandBelow(pid: number): number {
  try {
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('nsenter\0')) return pid
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return children ? Number(children.split(' ')[0]) : pid
  } catch { return pid }
}
