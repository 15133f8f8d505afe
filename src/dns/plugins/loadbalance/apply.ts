// Reads the weight file of `loadbalance weighted`.
import { readFile } from 'node:fs/promises'
import { UserError } from '#lib/errors.ts'
import { parseWeights, type Weights } from './config.ts'

export async function readWeights(file: string): Promise<Weights> {
  try { return parseWeights(await readFile(file, 'utf8')) } catch (error) { throw new UserError(`loadbalance: ${file}: ${(error as Error).message}`) }
}
