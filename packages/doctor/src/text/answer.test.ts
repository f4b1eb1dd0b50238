import { describe, expect, it } from 'vitest';
import { examine } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';
import { answerLines, commandsFor } from './answer.ts';
import { summaryLines, summaryTable } from './summary.ts';

const HOST = '0000:00:00.0 Host bridge [0600]: Intel Corporation 440FX [8086:1237] (rev 02)\n\tFlags: fast devsel\n\n';
const GPU = (driver: string) => `0000:00:03.0 VGA compatible controller [0300]: NVIDIA Corporation GP107 [10de:1c82] (rev a1)\n\tFlags: fast devsel, IRQ 10\n\tKernel driver in use: ${driver}\n\n`;
const AUDIO = '0000:00:03.1 Audio device [0403]: NVIDIA Corporation GP107 Audio [10de:0fb9] (rev a1)\n\tFlags: fast devsel, IRQ 10\n\tKernel driver in use: snd_hda_intel\n';
const report = examine(readPaste(HOST + GPU('nouveau') + AUDIO));

describe('commandsFor', () => {
  it('has every line of the answer that is typed', () => {
    const lines = answerLines(report, '00:03.0').map((line) => line.trim());
    const told = commandsFor(report, '0000:00:03.0').flatMap((block) => [block.title, ...block.lines.map(({ text }) => text)]);
    expect(told.length).toBeGreaterThan(6);
    expect(told.filter((line) => !lines.includes(line))).toEqual([]);
  });

  it('copies the parameter without what is said about it', () => {
    const [binding] = commandsFor(report, '0000:00:03.0');
    expect(binding?.lines.at(-1)?.command).toBe('vfio-pci.ids=10de:1c82,10de:0fb9');
    expect(binding?.lines.at(-1)?.text).toContain("on the kernel's command line");
  });

  it('has nothing to type where a function is bound already', () => {
    const [binding] = commandsFor(examine(readPaste(HOST + GPU('vfio-pci'))), '0000:00:03.0');
    expect(binding?.lines).toEqual([{ text: '(done already)', command: undefined }]);
  });

  it.each([['a part of the host', '0000:00:00.0'], ['a function that is not there', '0000:09:00.0']])('has none for %s', (_, address) => {
    expect(commandsFor(report, address)).toEqual([]);
  });
});

describe('summaryTable', () => {
  it('has what the summary prints, in its order', () => {
    const table = summaryTable(report);
    expect(table.map(({ heading, rows }) => [heading, ...rows.map(({ device, words }) => `${device.address} ${words}`)])).toEqual([
      ['Graphics', '0000:00:03.0 yes, with 00:03.1'],
      ['With the graphics', '0000:00:03.1 yes, with 00:03.0'],
    ]);
    const lines = summaryLines(report);
    expect(table.map(({ heading }) => lines.includes(heading))).toEqual([true, true]);
  });
});
