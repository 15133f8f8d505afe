// Progress for people: one line that changes on a terminal, a line a second elsewhere, and nothing at
// all for what takes less than a second.

export function progressLine(stream: NodeJS.WriteStream) {
  let current = 'starting', shown = false, written = ''
  const draw = () => {
    shown = true
    if (current === written) return
    written = current
    stream.write(stream.isTTY ? `\r\x1b[2K${current} ...` : `${current} ...\n`)
  }
  const timer = setInterval(draw, 1000)
  timer.unref()
  const clear = () => { if (shown && stream.isTTY) stream.write('\r\x1b[2K') }
  return {
    /** Replaces what is going on. */
    show(text: string): void {
      if (text === current) return
      current = text
      if (shown && stream.isTTY) draw()
    },
    /** A line that stays. */
    line(text: string): void { clear(); stream.write(`${text}\n`) },
    last: () => current,
    end(): void { clearInterval(timer); clear(); shown = false },
  }
}
