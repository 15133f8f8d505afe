// The frames of v4.channel.k8s.io and v5.channel.k8s.io (KEP-4006): the first byte of every WebSocket
// message is its channel. Pure.

export const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const
/** In the order in which the server prefers them. */
export const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const
export type Protocol = typeof protocols[number]

export const chooseProtocol = (offered: ReadonlySet<string>): Protocol | undefined => protocols.find(protocol => offered.has(protocol))

export const frame = (channel: number, data: Uint8Array = new Uint8Array()): Buffer => Buffer.concat([Buffer.from([channel]), data])

/** What a client's message means. */
export type Message =
  | { readonly kind: 'stdin'; readonly data: Buffer }
  | { readonly kind: 'endOfStdin' }
  | { readonly kind: 'resize'; readonly columns: number; readonly rows: number }
  | { readonly kind: 'ignored' }

export function parseMessage(protocol: Protocol, message: Buffer): Message {
  const data = message.subarray(1)
  switch (message[0]) {
    case channel.stdin: return data.length ? { kind: 'stdin', data } : { kind: 'ignored' }
    case channel.close: return protocol === 'v5.channel.k8s.io' && data[0] === channel.stdin ? { kind: 'endOfStdin' } : { kind: 'ignored' }
    case channel.resize: return resize(data.toString('utf8'))
    default: return { kind: 'ignored' }
  }
}

function resize(text: string): Message {
  try {
    const { Width, Height } = JSON.parse(text) as { Width: unknown; Height: unknown }
    if (Number.isInteger(Width) && Number.isInteger(Height) && (Width as number) > 0 && (Height as number) > 0 && (Width as number) < 65536 && (Height as number) < 65536)
      return { kind: 'resize', columns: Width as number, rows: Height as number }
  } catch { /* not JSON: no size */ }
  return { kind: 'ignored' }
}

/** The Status that the error channel carries at the end (remotecommand's v4WriteStatusFunc). */
export function exitStatus(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {}, status: 'Failure', reason: 'NonZeroExitCode', message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  }
}

export const failureStatus = (message: string): object => ({ metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 })
