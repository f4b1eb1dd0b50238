import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MalformedRecording, parseLines, type Fields } from '../json.ts';
import { findRecordings, RECORDINGS, replayFile } from '../replay.ts';
import { replayConversation } from './format.ts';

const FOLDER = join(RECORDINGS, 'vfio-user');

function textOf(name: string): string {
  return gunzipSync(readFileSync(join(FOLDER, `qemu11.1.3-${name}.jsonl.gz`))).toString('utf8');
}

function linesOf(name: string, change: (text: string) => string = (text) => text): readonly Fields[] {
  return parseLines(name, change(textOf(name)));
}

/** Each capture: its messages, the replies that the server gave, and what of them is not compared byte for byte. */
const CAPTURES: Readonly<Record<string, readonly [messages: number, replies: number, relaxed: Readonly<Record<string, number>>]>> = {
  'c-server-sparse-migration': [368, 184, { 'VERSION of another server': 1, 'replies of another server': 183 }],
  'gpio-idio16-shared': [374, 187, { 'VERSION of another server': 1, 'replies of another server': 186 }],
  'js-hotplug-unplug': [4353, 2166, {}],
  'js-intx': [433, 213, {}],
  'js-kvm-firmware-only': [248, 124, {}],
  'js-mmap': [2592, 1296, { 'a word that the guest wrote through a mapping': 1 }],
  'js-private': [4524, 2240, {}],
  'js-server-killed': [4489, 2234, {}],
  'js-slow-reply-timeout': [416, 206, {}],
  'js-small': [4520, 2240, {}],
  'js-system-reset': [8940, 4449, {}],
};

describe('a captured conversation of QEMU 11.1.3, said again', () => {
  it('is each that there is', () => {
    expect(findRecordings(FOLDER).map((path) => /qemu11\.1\.3-(.*)\.jsonl/.exec(path)?.[1])).toEqual(Object.keys(CAPTURES));
  });

  it.each(Object.entries(CAPTURES))('%s: every reply is as captured', (name, [messages, replies, relaxed]) => {
    const report = replayFile(join(FOLDER, `qemu11.1.3-${name}.jsonl.gz`));
    expect(report.divergences).toEqual([]);
    expect(Object.fromEntries(report.relaxed)).toEqual(relaxed);
    const lines = linesOf(name).filter((line) => line.string('dir') !== 'event');
    expect([lines.length, lines.filter((line) => line.string('dir') === 's2c' && line.number('flags') === 1).length]).toEqual([messages, replies]);
    expect(report.steps).toBe(messages + 2);
  });

  it('differs in few replies from what vfio-pci shows of its host: addresses and Command as opened, Command after a reset', () => {
    const differing = Object.keys(CAPTURES).filter((name) => name.startsWith('js-')).map((name) => {
      const { divergences } = replayConversation(linesOf(name), {}, 'shown');
      return [name, divergences.filter(({ field }) => field === 'reply to REGION_READ').length, divergences.length];
    });
    // The whole space, three BARs and Command, each read once before QEMU's own reset.
    expect(differing).toEqual([
      ['js-hotplug-unplug', 5, 5],
      ['js-intx', 5, 5],
      ['js-kvm-firmware-only', 5, 5],
      ['js-mmap', 5, 5],
      ['js-private', 5, 5],
      ['js-server-killed', 5, 5],
      ['js-slow-reply-timeout', 5, 5],
      ['js-small', 5, 5],
      ['js-system-reset', 6, 6],
    ]);
  });

  it('tells a reply, a question, or descriptors that are others', () => {
    const one = (name: string, from: string, to: string): readonly string[] => {
      expect(textOf(name)).toContain(from);
      return replayConversation(linesOf(name, (text) => text.replace(from, to)), {}).divergences.map(({ field }) => field);
    };
    expect(one('js-small', '10000000090000000200000004000000', '10000000090000000200000008000000')).toEqual(['reply to DEVICE_GET_IRQ_INFO']);
    expect(one('js-private', '5a5d544f4679', '5a5d544f4678')).toEqual(['question DMA_WRITE']);
    // The second vector without its eventfd.
    expect(one('js-small', '"fds": ["eventfd", "eventfd", "eventfd", "eventfd"]', '"fds": ["eventfd", "memfd", "eventfd", "eventfd"]')).toContain('reply to DEVICE_SET_IRQS');
    expect(one('js-mmap', '"nfds": 1, "fds": ["memfd"], "payload": "400000000f', '"nfds": 0, "fds": [], "payload": "400000000f')).toEqual(['descriptors']);
  });

  it('is refused where a line is no message', () => {
    const spoiled = (from: string, to: string): (() => unknown) => () => replayConversation(linesOf('js-intx', (text) => text.replace(from, to)), {});
    expect(spoiled('"dir": "c2s"', '"dir": "up"')).toThrow(MalformedRecording);
    expect(spoiled('"size": 48', '"size": 49')).toThrow(MalformedRecording);
    expect(spoiled('"id": 1,', '"id": 65536,')).toThrow(MalformedRecording);
    expect(spoiled('"fds": ["memfd"]', `"fds": [${'1,'.repeat(64)}1]`)).toThrow(MalformedRecording);
  });
});
