// Bytes of a container's output to log lines in CRI's format (kubelet's pkg/kubelet/kuberuntime/logs):
// `<time> stdout F <line>`, where P marks a piece whose line goes on. Pure; every byte comes out once.

const maxLine = 16 << 10 // containerd's max_container_log_line_size
const newline = 0x0a

export interface LineFormat {
  /** The log text for what arrived; an unfinished line waits. */
  push(chunk: Buffer, time: string): Buffer
  /** The log text for what still waits: a last line without its newline, marked P, as it has none. */
  end(time: string): Buffer
}

export function lineFormat(stream: 'stdout' | 'stderr'): LineFormat {
  let waiting: Buffer[] = [], waitingSize = 0
  const line = (time: string, tag: 'F' | 'P', parts: readonly Buffer[]) => [Buffer.from(`${time} ${stream} ${tag} `), ...parts, Buffer.from('\n')]
  const take = (): Buffer[] => { const parts = waiting; waiting = []; waitingSize = 0; return parts }
  const wait = (part: Buffer): void => { if (part.length) { waiting.push(Buffer.from(part)); waitingSize += part.length } }
  return {
    push(chunk, time) {
      const out: Buffer[] = []
      for (let at = 0; at < chunk.length;) {
        const end = chunk.indexOf(newline, at), room = at + maxLine - waitingSize
        if (end >= 0 && end <= room) {
          out.push(...line(time, 'F', [...take(), chunk.subarray(at, end)]))
          at = end + 1
        } else if (chunk.length > room) {
          out.push(...line(time, 'P', [...take(), chunk.subarray(at, room)]))
          at = room
        } else {
          wait(chunk.subarray(at))
          at = chunk.length
        }
      }
      return Buffer.concat(out)
    },
    end: time => waitingSize ? Buffer.concat(line(time, 'P', take())) : Buffer.alloc(0),
  }
}

/** RFC 3339 with nanoseconds, from milliseconds since 1970 with a fraction. */
export function rfc3339Nano(milliseconds: number): string {
  const whole = Math.floor(milliseconds)
  const nanos = Math.floor((milliseconds - whole) * 1e6)
  return `${new Date(whole).toISOString().slice(0, 23)}${String(nanos).padStart(6, '0')}Z`
}

/** Name for a full log, as kubelet's container log manager gives it. */
export const rotatedName = (path: string, time: string): string => `${path}.${time.slice(0, 19).replace(/[-:]/g, '').replace('T', '-')}.${time.slice(20, 29)}`
