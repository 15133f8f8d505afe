// Reads the resolv.conf that `autopath` names.
import { readFile } from 'node:fs/promises'
import { UserError } from '#lib/errors.ts'

export async function readResolvConf(file: string): Promise<string> {
  try { return await readFile(file, 'utf8') } catch (error) { throw new UserError(`autopath: cannot read ${file}: ${(error as Error).message}`) }
}
