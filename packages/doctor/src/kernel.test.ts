import { describe, expect, it } from 'vitest';
import { kernelOf, kernelVersion } from './kernel.ts';
import { readPaste } from './read/read-paste.ts';

describe('kernelVersion', () => {
  it.each([
    ['5.15', { major: 5, minor: 15 }],
    ['6.8.0-49-generic', { major: 6, minor: 8 }],
    ['5.9.3', { major: 5, minor: 9, patch: 3 }],
    ['6.17.4-2-pve', { major: 6, minor: 17, patch: 4 }],
  ])('reads %s', (text, version) => {
    expect(kernelVersion(text)).toEqual(version);
  });

  it.each(['', 'x', '6', '1234.5', 'v6.1', '6.12345'])('takes "%s" for no release', (text) => {
    expect(kernelVersion(text)).toBeUndefined();
  });
});

describe('kernelOf', () => {
  const { machine } = readPaste('Linux pve 6.8.12-4-pve #1 SMP x86_64 GNU/Linux\n');
  const silent = readPaste('').machine;

  it('is what is asked for, whatever the text tells', () => {
    expect(kernelOf({ major: 5, minor: 10 }, machine)).toMatchObject({ version: '5.10', source: 'asked' });
  });

  it('is what the text tells', () => {
    expect(kernelOf(undefined, machine)).toMatchObject({ version: '6.8', source: 'told' });
  });

  it('is 6.1 where nobody says', () => {
    expect(kernelOf(undefined, silent)).toMatchObject({ version: '6.1', source: 'default', profile: 'linux-6.1' });
  });

  it.each([[[4, 19], 'linux-5.10'], [[5, 12], 'linux-5.10'], [[6, 0], 'linux-5.13'], [[9, 0], 'linux-7.3']] as const)('%s answers with the newest profile that is not newer: %s', ([major, minor], profile) => {
    expect(kernelOf({ major, minor }, silent).profile).toBe(profile);
  });
});
