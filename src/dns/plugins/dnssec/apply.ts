// Reads key files.
import { readFileSync } from 'node:fs'
import { readKey, type Key } from './key.ts'

export const loadKey = (base: string): Key => readKey(readFileSync(`${base}.key`, 'utf8'), readFileSync(`${base}.private`, 'utf8'))
