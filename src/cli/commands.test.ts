import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { commands, completion, help, overview } from './commands.ts'

test('every command is in the overview and has help with an example', () => {
  for (const name of Object.keys(commands)) {
    assert.match(overview(), new RegExp(`^  ${name}( |$)`, 'm'))
    assert.match(help(name), /Examples:\n  \S/)
  }
})

test('bash completes commands and flags', () => {
  const complete = (line: string[]) => execFileSync('bash', ['-c',
    `${completion('bash')}\nCOMP_WORDS=(${line.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${line.length - 1}; _fairway; echo "\${COMPREPLY[*]}"`], { encoding: 'utf8' }).trim()
  assert.equal(complete(['fairway', 'kubec']), 'kubeconfig kubectl'.split(' ').filter(word => word.startsWith('kubec')).join(' '))
  assert.equal(complete(['fairway', 'logs', '--fo']), '--follow')
})

test('zsh loads the bash script; other shells are not known', () => {
  assert.match(completion('zsh')!, /bashcompinit/)
  assert.equal(completion('fish'), undefined)
})
