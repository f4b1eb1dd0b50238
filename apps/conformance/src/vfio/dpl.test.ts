/** Data path layouts: those of the recordings' README, and the one that restool printed of the contents `live`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Host } from '@vsim/vfio-core';
import { ManagementComplex, McContainer } from '@vsim/vfio-fslmc';
import { Fields, type Json } from '../json.ts';
import { RECORDINGS } from '../replay.ts';
import { fillComplex, recordedComplex } from './recorded-complex.ts';

const FOLDER = join(RECORDINGS, 'fslmc');
const read = (name: string) => readFileSync(join(FOLDER, name));
const live = gunzipSync(read('dpl/live.dts.gz')).toString();
const contents = new Fields('contents', 1, JSON.parse(gunzipSync(read('contents.json.gz')).toString()) as Readonly<Record<string, Json>>);

/** Names, containers, options, what objects are made with, and links. */
function told(mc: ManagementComplex): unknown {
  const objects = mc.root.all.map((object) => [object.name, object.parent?.name, object instanceof McContainer ? object.options : [...object.config], object.plugged, object.icid]);
  const links = mc.links.all.map((ends) => ends.map(({ object: { name }, interfaceId }) => `${name}.${interfaceId ?? 0}`).sort().join(' '));
  return [objects.sort((a, b) => String(a[0]).localeCompare(String(b[0]))), links.sort()];
}

describe('data path layouts', () => {
  it('live: the text that restool printed, letter for letter [fslmc 60]', () => {
    const content = contents.object('live');
    const mc = recordedComplex(new Host({ ram: [{ base: 0x4000_0000, size: 0x1000_0000 }] }), content);
    fillComplex(mc, content);
    expect(mc.toDpl()).toBe(live);
  });

  it.each([
    ['dpl/small.dts', read('dpl/small.dts').toString(), ['dprc.1 dpmac.1 dpmcp.1 dpmcp.2 dpmcp.3 dpni.0 dpbp.0 dpio.0 dpcon.0', 'dpni.0.0 dpmac.1.0']],
    [
      'dpl/switch-and-guest.dts',
      read('dpl/switch-and-guest.dts').toString(),
      [
        'dprc.1 dpmac.1 dpmac.2 dpmac.3 dpmcp.1 dpmcp.2 dpmcp.3 dpmcp.4 dpmcp.5 dpio.0 dpio.1 dpcon.0 dpcon.1 dpsw.0 dpni.0 dpbp.0 dprtc.0 dpseci.0 dprc.2 dpmcp.10 dpio.2 dpni.1 dpbp.1',
        'dpsw.0.0 dpmac.1.0, dpsw.0.1 dpmac.2.0, dpsw.0.2 dpni.0.0, dpni.1.0 dpmac.3.0',
      ],
    ],
    ['dpl/live.dts.gz', live, undefined],
  ] as const)('%s: a host from it, and it from the host, equal [fslmc 60] [fslmc 61]', (_, text, expected) => {
    const mc = ManagementComplex.fromDpl(new Host(), text, { release: '10.36.0' });
    const again = mc.toDpl();
    const other = ManagementComplex.fromDpl(new Host(), again, { release: '10.36.0' });
    expect(told(other)).toEqual(told(mc));
    expect(other.toDpl()).toBe(again);
    if (expected === undefined) expect(again).toBe(live);
    else expect([mc.root.all.map(({ name }) => name).join(' '), mc.links.all.map((ends) => ends.map(({ object: { name }, interfaceId }) => `${name}.${interfaceId ?? 0}`).join(' ')).join(', ')]).toEqual(expected);
  });
});
