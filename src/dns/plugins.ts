// Every plugin, in the order of the chain: CoreDNS's plugin.cfg (and rrl, external there), which the order in a Corefile does
// not change. A plugin feels what the ones below it do, and does not care for those above. Only
// those that a Corefile names are loaded.
import type { Plugin } from './plugin.ts'

export const order = [
  'root', 'metadata', 'cancel', 'tls', 'timeouts', 'multisocket', 'reload', 'nsid', 'bufsize', 'bind', 'debug', 'ready', 'health',
  'prometheus', 'errors', 'log', 'rrl', 'local', 'dns64', 'acl', 'any', 'chaos', 'loadbalance', 'cache', 'rewrite', 'header', 'dnssec',
  'autopath', 'minimal', 'template', 'transfer', 'hosts', 'k8s_external', 'kubernetes', 'file', 'loop', 'forward', 'whoami', 'view',
] as const

/** The plugin of a folder plugins/<name>/. */
export async function load(name: (typeof order)[number]): Promise<Plugin> {
  const { plugin } = await import(`./plugins/${name}/plugin.ts`) as { plugin: Plugin }
  return plugin
}
