// `fairway dns`: serves a Corefile in place of CoreDNS.
import { UserError } from '#lib/errors.ts'

export async function main(argv: string[]): Promise<number> {
  throw new UserError(`fairway dns ${argv.join(' ')}: not there yet`)
}
