/** What the runner of boots sees: a recording that is changed in one place has one difference, there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readText } from '../read-text.ts';
import { RECORDINGS, replayFile } from '../replay.ts';

const SOURCE = join(RECORDINGS, 'fslmc');
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The boot of that name, with the text of both its files changed. @returns case, field, expected and actual of each difference */
function changed(name: string, change: { readonly outcome?: (line: string) => string; readonly said?: (lines: string) => string }): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'vsim-boot-'));
  folders.push(folder);
  const line = readText(join(SOURCE, 'boot.jsonl.gz')).split('\n').find((each) => each.startsWith(`{"name":"${name}",`)) ?? '';
  const conversations = readText(join(SOURCE, 'boot.mc.jsonl.gz')).split(/^(?=\{"k":"boot")/m);
  const said = conversations.find((each) => each.startsWith(`{"k":"boot","name":"${name}",`)) ?? '';
  writeFileSync(join(folder, 'boot.jsonl'), change.outcome?.(line) ?? line);
  writeFileSync(join(folder, 'boot.mc.jsonl'), change.said?.(said) ?? said);
  for (const file of ['host.json', 'contents.json']) writeFileSync(join(folder, file), readText(join(SOURCE, `${file}.gz`)));
  return replayFile(join(folder, 'boot.jsonl')).divergences.map(({ field, expected, actual }) => `${field}: ${expected.slice(-12)} ${actual.slice(-12)}`);
}

describe('a boot with a Management Complex', () => {
  it('is the same as it was recorded', () => {
    expect(changed('base', {})).toEqual([]);
  });

  it.each<readonly [string, string, string, readonly string[]]>([
    ['a driver', '"driver":"fsl_mc_allocator"', '"driver":null', ['dpbp.0 driver: null c_allocator"']],
    ['a group', '"dprc.2":{"parent":"dprc.1","driver":"fsl_mc_dprc","group":1', '"dprc.2":{"parent":"dprc.1","driver":"fsl_mc_dprc","group":0', ['dprc.2 group: 0 1']],
    ['a parent', '"dpio.0":{"parent":"dprc.2"', '"dpio.0":{"parent":"dprc.1"', ['dpio.0 parent: "dprc.1" "dprc.2"']],
    ['a node', '"nodes":"dprc.1"', '"nodes":""', ['nodes:  dprc.1']],
    ['autorescan', '"autorescan":"1"', '"autorescan":"0"', ['autorescan: 0 1']],
    ['a portal', '78050000-7805ffff', '78060000-7806ffff', ['iomem: 00 registers 00 registers']],
    ['an unknown key', '"nodes"', '"knots"', ['knots: player knows unknown']],
  ])('differs in %s', (_, from, to, differences) => {
    expect(changed('base', { outcome: (line) => line.replace(from, to) })).toEqual(differences);
  });

  it.each<readonly [string, RegExp, string, readonly string[]]>([
    ['how the register was left', /"to":"0xc0000000"\}\n*$/, '"to":"0x0"}', ['gcr1 at the end: 0 3221225472']],
    ['whether the firmware was started', /.*"from":"0xc0000000".*\n/, '', ['gcr1 started: false true']],
    ['the first command', /"q":"0000010000001183"/, '"q":"0000010000001182"', ['command 0 dpmng.get_version: 000000000000 000000000000']],
    ['the last command', /(.*)"q":"[0-9a-f]*"(.*\n.*gcr1.*\n*)$/, '$1"q":"00"$2', [expect.stringMatching(/^command \d+ dprc.close/)]],
  ])('differs in %s', (_, from, to, differences) => {
    expect(changed('base', { said: (lines) => lines.replace(from, to) })).toEqual(differences);
  });
});
