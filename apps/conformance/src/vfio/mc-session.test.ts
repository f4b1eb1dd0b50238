/** Recorded sessions of restool, DPDK and the kernel with a Management Complex, against the model's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { get, Host, set } from '@vsim/vfio-core';
import { COMMAND_SIZE, ManagementComplex, mc_header } from '@vsim/vfio-fslmc';
import { Fields, parseLines, type Json } from '../json.ts';
import { RECORDINGS, replayFile } from '../replay.ts';
import { fillComplex, PORTALS } from './recorded-complex.ts';

const FOLDER = join(RECORDINGS, 'fslmc');
const unpack = (path: string) => gunzipSync(readFileSync(path)).toString();

/** Steps are commands, messages, the contents at the start and changes of the control register. */
const FILES: Readonly<Record<string, readonly [steps: number, compared: number]>> = {
  'dpdk.mc.jsonl.gz': [129, 255],
  'dpmcp-old.mc.jsonl.gz': [28, 53],
  'eth.mc.jsonl.gz': [98, 192],
  'flow.mc.jsonl.gz': [1155, 2305],
  'full.mc.jsonl.gz': [1642, 3279],
  'pure.mc.jsonl.gz': [180, 357],
  'restool.mc.jsonl.gz': [5597, 11_141],
};

describe('sessions with a Management Complex', () => {
  it.each(Object.entries(FILES))('%s: each answer, message and control register [fslmc 53] [fslmc 54] [fslmc 55]', (name, counts) => {
    const report = replayFile(join(FOLDER, 'restool', name));
    expect(report.divergences).toEqual([]);
    expect([report.cases, report.steps, report.compared, [...report.relaxed]]).toEqual([1, ...counts, []]);
  });

  it('pure: what the bus’s firmware refused to restool, BUSY and unsupported, a firmware of 10.36 answers: [fslmc D20] [fslmc D23]', () => {
    const lines = parseLines('pure', unpack(join(FOLDER, 'restool', 'pure.mc.jsonl.gz')));
    const contents = new Fields('contents', 1, JSON.parse(unpack(join(FOLDER, 'contents.json.gz'))) as Readonly<Record<string, Json>>);
    const host = new Host({ ram: [{ base: 0x4000_0000, size: 0x1000_0000 }] });
    const mc = new ManagementComplex(host, { base: PORTALS, qbmanBase: 0x7c00_0000, release: '10.36.0' });
    fillComplex(mc, contents.object('live-pure'));
    // The doorbell, so that messages go somewhere.
    host.memory.map(0x0800_0000, 0x10_0000, { read: () => 0, write: () => undefined });
    const refused: string[] = [];
    const still: string[] = [];
    for (const line of lines) {
      if (line.string('k') !== 'cmd') continue;
      const question = new Uint8Array(COMMAND_SIZE);
      question.set(line.bytes('q'));
      const portal = PORTALS + line.number('p') * 0x1_0000;
      for (let at = COMMAND_SIZE - 8; at >= 0; at -= 8) host.memory.write64(portal + at, get(question, [at, 'u32']), get(question, [at + 4, 'u32']));
      const answer = new Uint8Array(COMMAND_SIZE);
      for (let at = 0; at < COMMAND_SIZE; at += 4) set(answer, [at, 'u32'], host.memory.read32(portal + at));
      if (line.number('s') !== 0) refused.push(`${line.string('c')} ${line.number('s')}`);
      if (get(answer, mc_header.status) !== 0) still.push(`${line.string('c')} ${get(answer, mc_header.status)}`);
    }
    expect(refused).toEqual(['dpni.get_attr 11', 'dprc.create_cont 11', 'dpbp.create 11', 'dprc.open 10']);
    expect(still).toEqual([]);
  });
});
