import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { recordedMachine } from '@vsim/conformance';
import { PHASES } from '@vsim/vmm';
import { PICTURE, SEED, timeline } from '../../../scripts/timeline.mjs';
import { runDemo } from '../src/demo/demo.ts';

const report = runDemo(SEED, recordedMachine(), () => undefined);

it('docs/timeline.svg is what `npm run timeline` makes of this demonstration', () => {
  expect(readFileSync(PICTURE, 'utf8')).toBe(timeline(report));
});

it('the picture has every phase, the downtime and what became of the interrupts', () => {
  const words = [...timeline(report).matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
  expect(words).toEqual(expect.arrayContaining([...PHASES]));
  expect(words).toContain(`stands still: downtime ${(report.downtimeNs / 1e6).toFixed(3)} ms`);
  expect(words.filter((text) => text.includes('interrupts 0 are lost, 0 come twice'))).toHaveLength(1);
  expect(words.filter((text) => text.startsWith(`${report.pendingAtStop.filter(({ place }) => place === 'VPT').length} VLPIs`))).toHaveLength(3);
});

it('it needs no font and no file of others', () => {
  expect(timeline(report)).not.toMatch(/@import|url\(|href|<image/);
});
