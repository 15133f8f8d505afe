// agnhost dns-suffix, dns-server-list and etc-hosts: what this container was given to resolve names with.
import { readFile } from 'node:fs/promises'
import { firstLine } from './resolv-conf.ts'

const print = (text: string): number => { process.stdout.write(`${text}\n`); return 0 }
const resolvConf = () => readFile('/etc/resolv.conf', 'utf8')

export const suffixes = async (): Promise<number> => print(firstLine(await resolvConf(), 'search'))
export const serverList = async (): Promise<number> => print(firstLine(await resolvConf(), 'nameserver'))
export const hosts = async (): Promise<number> => print(await readFile('/etc/hosts', 'utf8'))
