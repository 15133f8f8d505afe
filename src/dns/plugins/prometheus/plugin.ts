// prometheus: counts queries and answers by CoreDNS's names and serves all metrics of the process.
import { args, CorefileError, once, unknown } from '../../corefile/errors.ts'
import { exposition } from '../../metrics/registry.ts'
import type { Plugin } from '../../plugin.ts'
import { processMetrics } from './apply.ts'
import { QueryMetrics } from './queries.ts'

export const plugin: Plugin<string> = {
  name: 'prometheus',
  parse(directives) {
    const directive = once(directives)
    const [address = 'localhost:9153'] = args(directive, 0, 1)
    for (const option of directive.block ?? []) {
      if (option.word.text === 'tls' || option.word.text === 'runtime_metrics') throw new CorefileError(option.word, `'${option.word.text}' of prometheus is not supported by Fairway: remove it`)
      throw unknown(option, [])
    }
    if (!/:\d{1,5}$/.test(address)) throw new CorefileError(directive.args[0]!, `'${address}' is no address: expected such as ':9153'`)
    return address
  },
  setup(address, env) {
    const queries = new QueryMetrics(env.metrics, env.block.view)
    let close = () => {}
    return {
      name: 'prometheus',
      async start() {
        const enabled = env.metrics.gauge('coredns_plugin_enabled', 'A metric that indicates whether a plugin is enabled on per server and zone basis.', ['server', 'zone', 'view', 'name'])
        for (const { name } of env.peers()) for (const zone of env.block.zones) enabled.with(env.block.server, queries.zoneLabel(zone), env.block.view, name).set(1)
        if (env.worker === 0) env.metrics.gauge('coredns_build_info', 'A metric with a constant \'1\' value labeled by version, revision, and goversion from which CoreDNS was built.', ['version', 'revision', 'goversion']).with('fairway', '', process.version).set(1)
        close = await env.http(address, '/metrics', async () => {
          processMetrics(env.metrics)
          return { code: 200, body: exposition(await env.allMetrics()), type: 'text/plain; version=0.0.4; charset=utf-8' }
        })
      },
      stop() { close() },
      observe(query, answer, sent) { queries.observe(query, answer, sent) },
    }
  },
}
