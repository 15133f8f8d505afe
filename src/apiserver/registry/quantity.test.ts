import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalQuantity, parseQuantity } from './quantity.ts'

test('quantities in billionths', () => {
  const cases: [string | number, bigint][] = [['0', 0n], ['1', 1_000_000_000n], [2, 2_000_000_000n], ['500m', 500_000_000n], ['0.5', 500_000_000n], ['1.5Gi', 1_610_612_736_000_000_000n],
    ['1e3', 1_000_000_000_000n], ['1E3', 1_000_000_000_000n], ['-1k', -1_000_000_000_000n], ['100n', 100n], ['0.1n', 1n], ['.5', 500_000_000n], ['5.', 5_000_000_000n], ['1E', 10n ** 27n], ['1Ki', 1_024_000_000_000n]]
  for (const [text, nanos] of cases) assert.equal(parseQuantity(text), nanos, String(text))
  for (const text of ['', 'x', '1x', '1 Gi', '1GiB', '--1', '1.2.3', 'Gi', '1e', '1e99', '1mi']) assert.equal(parseQuantity(text), undefined, text)
})

test('as Kubernetes writes them back', () => {
  const cases: [string, string][] = [['0.5', '500m'], ['1000m', '1'], ['1024Mi', '1Gi'], ['1.5Gi', '1536Mi'], ['1000', '1k'], ['1500', '1500'], ['0', '0'], ['0Mi', '0'],
    ['100m', '100m'], ['512Mi', '512Mi'], ['1e3', '1e3'], ['1e6', '1e6'], ['2e0', '2'], ['1000000', '1M'], ['0.25', '250m'], ['-2000m', '-2'], ['1Ki', '1Ki'], ['nonsense', 'nonsense']]
  for (const [text, canonical] of cases) assert.equal(canonicalQuantity(text), canonical, text)
})
