// What the processes of one cluster tell each other over Node's IPC: the outer process (host network),
// the inner one (process 1 of the cluster's namespaces), and the server and agent below it.

/** Upwards. `progress` replaces the line before it; `ready` and `failed` each come once. */
export type Report =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly reason: string }

/** Downwards: begin (what you stand on is built), or end in good order. */
export type Order = { readonly kind: 'start' } | { readonly kind: 'stop' }

/** The descriptor number under which the inner process and the server find the API's listening socket. */
export const apiSocketFd = 4

export const isReport = (message: unknown): message is Report =>
  typeof message === 'object' && message !== null && ['progress', 'ready', 'failed'].includes((message as Report).kind)
