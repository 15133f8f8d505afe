// What the worker processes of one server say to each other over Node's channel. The first process
// asks; the others answer for themselves.
import type { Snapshot } from '../metrics/registry.ts'

export type Ask = { readonly id: number; readonly ask: 'metrics' | 'ready' } | { readonly id: 0; readonly ask: 'reload' | 'stop' }
export interface Reply { readonly id: number; readonly metrics?: readonly Snapshot[]; readonly notReady?: readonly string[] }
/** A worker's first word: its listeners are open. */
export interface Started { readonly started: true }
