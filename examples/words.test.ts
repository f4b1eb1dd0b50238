/** Each @example in the words of a package is a program: it prints what the comments behind its console.log() say, in order. */
import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const HOOKS = new URL('../scripts/workspace-packages.mjs', import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), 'vsim-words-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The programs of a source, each with the symbol whose words have it. */
function programsOf(file: string): readonly (readonly [symbol: string, code: string])[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/ \* @example\n \* ```ts\n(.*?) \* ```\n \*\/\nexport (?:abstract )?\w+ (\w+)/gs)].map(([, code = '', symbol = '']) => [symbol, code.replaceAll(/^ \* ?/gm, '')]);
}

const PROGRAMS = globSync('packages/*/src/**/*.ts', { cwd: ROOT }).sort().flatMap(programsOf);

describe('an @example', () => {
  it('stands at each symbol that people start from', () => {
    expect(PROGRAMS.map(([symbol]) => symbol).sort()).toEqual([
      'Gic', 'GuestGicDriver', 'Host', 'ItsDriver', 'Kvm', 'ManagementComplex', 'MdevBus', 'PciBus', 'PciFunction', 'PlatformDevice', 'Process', 'Scheduler', 'Trace', 'Vfio', 'VfioPciDriver', 'VfioUserBus',
      'VirtualMachine', 'buildConfig', 'createNvme', 'examine', 'failOn', 'findErrors', 'mapDma', 'openDevice', 'parseFdt', 'parseLspci', 'readPaste', 'readTree', 'setIrqTriggers',
    ]);
  });

  it.concurrent.each(PROGRAMS)('of %s prints what it says', async (symbol, code) => {
    const file = join(folder, `${symbol}.ts`);
    writeFileSync(file, code);
    const said = [...code.matchAll(/console\.log.*\/\/ (.*)/g)].map(([, words = '']) => `${words}\n`);
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@vsim/source', '--import', HOOKS, file]);
    expect(stdout).toBe(said.join(''));
  });
});
