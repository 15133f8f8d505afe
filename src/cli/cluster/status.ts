// What `fairway status` shows, as text; pure.

export interface ClusterStatus {
  readonly name: string
  readonly running: boolean
  readonly ready?: boolean
  readonly dataDir: string
  readonly kubeconfig?: string
  readonly pid?: number
  readonly api?: string
  readonly startedAt?: string
  readonly memoryMb?: number
  readonly problem?: string
  readonly nodes?: readonly { readonly name: string; readonly ready: boolean; readonly address: string; readonly podCidr: string; readonly pods: number }[]
}

export function statusText(status: ClusterStatus, wide: boolean): string {
  const flag = status.name === 'default' ? '' : ` --name ${status.name}`
  if (!status.running) return `cluster "${status.name}" does not run: start it with "fairway up${flag}"\n`
  const lines = [
    `cluster     ${status.name} (${status.ready ? 'ready' : 'starting'}, process ${status.pid})`,
    `API         ${status.api}`,
    `kubeconfig  ${status.kubeconfig}`,
    `data        ${status.dataDir}`,
    `memory      ${status.memoryMb} MB`,
    ...(wide ? [`started     ${status.startedAt}`] : []),
  ]
  if (status.problem) lines.push(`problem     ${status.problem}`)
  if (status.nodes) lines.push('', ...columns([
    ['NODE', 'READY', 'ADDRESS', 'PODS', ...(wide ? ['POD RANGE'] : [])],
    ...status.nodes.map(node => [node.name, node.ready ? 'yes' : 'no', node.address, String(node.pods), ...(wide ? [node.podCidr] : [])]),
  ]))
  return lines.join('\n') + '\n'
}

/** Rows as left-aligned columns, three spaces apart, as kubectl prints them. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  return rows.map(row => row.map((cell, i) => i === row.length - 1 ? cell : cell.padEnd(widths[i]!)).join('   '))
}
