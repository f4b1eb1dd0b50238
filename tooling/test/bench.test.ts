/** What the benchmarks measure against. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

describe('the floor of the benchmarks', () => {
  it('is the loop that the bounds were stated for', () => {
    const source = readFileSync(new URL('../../bench/floor.ts', import.meta.url), 'utf8');
    expect(createHash('sha256').update(source).digest('hex')).toBe('6965dbf5eaf8cdc0a5023284471a5883815611556b519d6680560fc6a8ba9abe');
  });
});
