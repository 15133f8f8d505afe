// The commands for people, in the order in which help shows them: one table from which help, the
// dispatcher and shell completion are made. Pure data; each command's code is loaded when it runs.

export interface Command {
  readonly usage: string
  readonly summary: string
  readonly details?: string
  readonly flags?: readonly (readonly [flag: string, what: string])[]
  readonly examples: readonly string[]
}

const ofCluster: Command['flags'] = [['--name default', 'which cluster'], ['--data-dir DIR', 'where its files are, when not in the usual place']]
const output = ['-o json|yaml|wide', 'for programs, or with more columns'] as const

export const commands: Record<string, Command> = {
  up: { usage: 'up [flags]', summary: 'start a cluster on this machine', examples: ['fairway up', 'fairway up --detach --nodes 5'] },
  down: { usage: 'down [--purge]', summary: 'stop it; its objects are kept for the next up',
    flags: [...ofCluster, ['--purge', 'remove its files too: objects, images, certificates']], examples: ['fairway down', 'fairway down --name other --purge'] },
  status: { usage: 'status', summary: 'what runs, and where', flags: [...ofCluster, output], examples: ['fairway status', 'fairway status -o json'] },
  kubeconfig: { usage: 'kubeconfig [--merge | --remove]', summary: 'print the kubeconfig, or put it into your own',
    flags: [...ofCluster, ['--merge', 'add the cluster to $KUBECONFIG or ~/.kube/config and make it current'], ['--remove', 'take it out again']],
    examples: ['export KUBECONFIG=$(fairway kubeconfig --path)', 'fairway kubeconfig --merge'] },
  kubectl: { usage: 'kubectl ARGS', summary: 'the real kubectl with this cluster\'s kubeconfig',
    details: 'Fetches kubectl once when the machine has none. --name, when given, comes first.', examples: ['fairway kubectl get pods -A'] },
  shell: { usage: 'shell NODE|POD|client [-- CMD...]', summary: 'a shell or a command in the network of a node, a pod or the client machine',
    details: 'NODE is k8s-master01, k8s-node01, ...; POD is NAME or NAMESPACE/NAME; client is a machine outside the cluster on the same fabric. ' +
      'The programs are this machine\'s (kubectl included); exit status and signals are passed on.',
    flags: ofCluster, examples: ['fairway shell k8s-node01', 'fairway shell k8s-master01 -- iptables-save -t nat', 'fairway shell dev/web-0 -- ip addr', 'fairway shell client -- curl -s 192.168.109.101:30007'] },
  logs: { usage: 'logs [COMPONENT] [-f]', summary: 'logs of server, agent, cluster, outer or kube-proxy; of all without a name',
    flags: [...ofCluster, ['-f, --follow', 'go on as lines come'], ['--tail N', 'only the last N lines of each']], examples: ['fairway logs server --tail 20', 'fairway logs kube-proxy -f'] },
  explain: { usage: 'explain service NAME', summary: 'why a Service works, or what is broken and how to mend it',
    details: 'One page: addresses, ports, each endpoint and which nodes use it; then what is broken, the first step first, with the command that helps. ' +
      'Exit status 0 when it works, 1 when something is broken. With --kubeconfig for any cluster; which address a pod\'s program listens on is seen on this machine only.',
    flags: [...ofCluster, ['-n, --namespace NS', 'the Service\'s namespace'], ['-o json|yaml', 'for programs'], ['--kubeconfig FILE', 'another cluster'], ['--context NAME', 'which context of the file']],
    examples: ['fairway explain service web', 'fairway explain svc/web -n dev -o json', 'fairway explain service web --kubeconfig ~/.kube/config'] },
  export: { usage: 'export DIR', summary: 'everything for a bug report: logs, objects (secrets left out), rules and addresses of every node',
    flags: ofCluster, examples: ['fairway export ./report'] },
  image: { usage: 'image load FILE.tar | image ls', summary: 'bring images that no registry has, and list them',
    details: 'FILE is what "docker save" or an OCI layout in a tar gives, compressed or not.', flags: [...ofCluster, output], examples: ['docker save web:1 -o web.tar && fairway image load web.tar', 'fairway image ls'] },
  test: { usage: 'test [PATTERN]', summary: 'run the tests (those whose file name holds PATTERN); the last line counts them',
    details: 'Needs a checkout with the test tools (npm ci). Tests that make networks run as root or in a user namespace.', examples: ['fairway test', 'fairway test proxy'] },
  server: { usage: 'server [flags]', summary: 'the control plane alone: API server, controllers, scheduler', examples: ['fairway server --help'] },
  agent: { usage: 'agent --config FILE', summary: 'the kubelets of this machine alone', examples: ['fairway agent --config agent.json'] },
  proxy: { usage: 'proxy [flags]', summary: 'kube-proxy alone, against any Kubernetes API server', examples: ['fairway proxy --kubeconfig FILE --proxy-mode iptables'] },
  dns: { usage: 'dns -conf FILE', summary: 'cluster DNS alone, in place of CoreDNS: it reads the same Corefile', examples: ['fairway dns -conf Corefile', 'fairway dns -conf Corefile -dns.port 1053'] },
  completion: { usage: 'completion bash|zsh', summary: 'shell completion', examples: ['source <(fairway completion bash)'] },
  version: { usage: 'version', summary: 'which Fairway, which Kubernetes', examples: ['fairway version'] },
}

export function overview(): string {
  const width = Math.max(...Object.values(commands).map(command => command.usage.length)) + 2
  return ['Fairway: the Kubernetes Service network, whole, in one program.', '', 'Usage: fairway COMMAND', '',
    ...Object.values(commands).map(command => `  ${command.usage.padEnd(width)}${command.summary}`), '',
    'fairway COMMAND --help says more, with examples.', ''].join('\n')
}

export function help(name: string): string {
  const command = commands[name]!
  const section = (title: string, lines: string[]) => lines.length ? ['', `${title}:`, ...lines.map(line => `  ${line}`)] : []
  return [`${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`, '', `Usage: fairway ${command.usage}`,
    ...(command.details ? ['', command.details] : []),
    ...section('Flags', (command.flags ?? []).map(([flag, what]) => `${flag.padEnd(22)}${what}`)),
    ...section('Examples', [...command.examples]), ''].join('\n')
}

/** A completion script; the names of commands and their flags are all it knows. */
export function completion(shell: string): string | undefined {
  const words = Object.keys(commands).join(' ')
  const cases = Object.entries(commands).map(([name, { flags = [] }]) =>
    `    ${name}) words="${flags.flatMap(([flag]) => flag.split(/[ ,]+/).filter(word => word.startsWith('-'))).join(' ')} --help" ;;`)
  const bash = ['_fairway() {', '  local words', '  case ${COMP_WORDS[1]} in', ...cases, '    *) words="" ;;', '  esac',
    `  [ "$COMP_CWORD" -gt 1 ] || words="${words} help"`, '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))', '}',
    'complete -o default -F _fairway fairway ./fairway', ''].join('\n')
  if (shell === 'bash') return bash
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : undefined
}
