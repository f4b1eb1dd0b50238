import { ESLint } from 'eslint';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const eslint = new ESLint({ cwd: ROOT });

/** `rule: message` for each report on a text in the place of an existing file, of the rules asked for. */
async function lint(file: string, text: string, rule: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: join(ROOT, file) });
  const fatal = result!.messages.filter((message) => message.fatal === true);
  expect(fatal).toEqual([]);
  return result!.messages
    .filter(({ ruleId }) => ruleId === rule)
    .map(({ line, message }) => `${line}: ${message}`);
}

const CORE = 'packages/vfio-core/src/index.ts';
const UAPI = 'packages/vfio-core/src/uapi/index.ts';
const MEMORY = 'packages/vfio-core/src/memory/index.ts';
const GIC = 'packages/gic-its/src/index.ts';
const VMM = 'packages/vmm/src/index.ts';
const DEMO = 'apps/demo/src/index.ts';
const CLI = 'apps/cli/src/index.ts';

describe('floating-sleeps', () => {
  const RULE = 'vsim/floating-sleeps';
  const FLOATING = 'a Sleeps<T> that nobody runs: yield* it, or spawn it';
  const DEVICE = `
    type Sleeps<T> = Generator<string, T, void>;
    interface Device { unregister(): Sleeps<void>; next: Device | undefined; close(): number }
    declare const devices: Device[];
    declare function spawn<T>(body: Sleeps<T>): T;`;

  async function body(text: string): Promise<number> {
    const reports = await lint(CORE, `${DEVICE}\nexport function* f(dev: Device): Sleeps<void> {\n${text}\n}`, RULE);
    for (const report of reports) expect(report).toContain(FLOATING);
    return reports.length;
  }

  it.each([
    ['a call as a statement', 'dev.unregister();'],
    ['an optional call', 'dev.next?.unregister();'],
    ['a short circuit', 'dev.close() === 0 && dev.unregister();'],
    ['void', 'void dev.unregister();'],
    ['an arrow function whose result is dropped', 'devices.forEach((d) => d.unregister());'],
  ])('reports %s', async (_, text) => {
    expect(await body(text)).toBe(1);
  });

  it.each([
    ['yield*', 'yield* dev.unregister();'],
    ['a thread', 'spawn(dev.unregister());'],
    ['a value that is kept', 'let kept = dev.unregister(); kept = dev.unregister(); yield* kept;'],
    ['an arrow function whose result is used', 'for (const s of devices.map((d) => d.unregister())) yield* s;'],
    ['another statement', 'dev.close();'],
  ])('does not report %s', async (_, text) => {
    expect(await body(text)).toBe(0);
  });
});

describe('house-plan', () => {
  const RULE = 'vsim/house-plan';

  it.each([
    ['a spoke', GIC, '@vsim/vfio-pci', 'packages may import packages/gic-its/src, @vsim/vfio-core; not @vsim/vfio-pci'],
    ['a spoke', GIC, '../../vfio-pci/src/index.ts', 'not ../../vfio-pci/src/index.ts'],
    ['a spoke', GIC, '../../vfio-core/src/index.ts', 'not ../../vfio-core/src/index.ts'],
    ['a spoke', GIC, 'node:fs', 'not node:fs'],
    ['a spoke', GIC, 'fs', 'not fs'],
    ['a spoke', GIC, 'fast-check', 'not fast-check'],
    ['a kit', VMM, '@vsim/vfio-pci', 'packages/vmm may import packages/vmm/src, @vsim/vfio-core, @vsim/gic-its; not @vsim/vfio-pci'],
    ['a kit', VMM, 'node:fs', 'not node:fs'],
    ['an app', DEMO, '@vsim/conformance', 'not @vsim/conformance'],
    ['an app', DEMO, '../../conformance/src/json.ts', 'not ../../conformance/src/json.ts'],
    ['the command', CLI, '../../demo/src/demo/setup.ts', 'not ../../demo/src/demo/setup.ts'],
    ['the hub', CORE, '@vsim/gic-its', 'packages/vfio-core may import packages/vfio-core/src; not @vsim/gic-its'],
    ['the hub', CORE, '@vsim/vfio-core', 'not @vsim/vfio-core'],
    ['the hub', CORE, 'node:fs', 'not node:fs'],
    ['uapi', UAPI, '../memory/index.ts', 'packages/vfio-core/src/uapi may import packages/vfio-core/src/uapi; not ../memory/index.ts'],
    ['uapi', UAPI, '../index.ts', 'not ../index.ts'],
    ['memory', MEMORY, '../host/trace.ts', 'not ../host/trace.ts'],
  ])('%s (%s) does not import %s', async (_, file, source, message) => {
    const forms = [
      `import { a } from '${source}';`,
      `export { a } from '${source}';`,
      `export * from '${source}';`,
      `export const a = await import('${source}');`,
      `export type A = import('${source}').A;`,
    ];
    const reports = await lint(file, forms.join('\n'), RULE);
    expect(reports).toHaveLength(forms.length);
    for (const report of reports) expect(report).toContain(message);
  });

  it.each([
    ['a spoke', GIC, '@vsim/vfio-core'],
    ['a spoke', GIC, './hardware/its.ts'],
    ['a kit', VMM, '@vsim/gic-its'],
    ['the hub', CORE, './host/index.ts'],
    ['uapi', UAPI, './errno.ts'],
    ['memory', MEMORY, './u64.ts'],
    ['memory', MEMORY, '../uapi/errno.ts'],
    ['an app', DEMO, '@vsim/gic-its'],
    ['an app', DEMO, 'node:fs'],
    ['the command', CLI, '@vsim/demo'],
  ])('%s (%s) may import %s', async (_, file, source) => {
    expect(await lint(file, `export * from '${source}';`, RULE)).toEqual([]);
  });
});

describe('exact-ranges', () => {
  const RULE = 'vsim/exact-ranges';
  const NAMES = `declare const address: number, length: number, iova: bigint, size: bigint, at: number, offset: number, end: number, done: number;
    declare const slot: { gpa: number; size: number; offset: number }; declare const range: { iova: bigint; length: bigint }; declare const bytes: Uint8Array;
    declare const mapping: { vaddr: number; pageCount: number };`;

  it.each([
    ['a sum', 'address + length'],
    ['a sum the other way round', 'bytes.length + address'],
    ['a sum of members', 'slot.gpa + slot.size'],
    ['a sum of bigints', 'range.iova + range.length'],
    ['a difference', 'length - address'],
    ['a comparison', 'address >= length'],
    ['a comparison of a distance', 'address - slot.gpa < slot.size'],
    ['what is wrapped', 'Number(iova) + Number(size)'],
    ['a name of two words', 'mapping.vaddr + mapping.pageCount'],
    ['the loop that never ended', '[at].some(() => at < address + bytes.length)'],
  ])('reports %s: %s', async (_, text) => {
    for (const file of [CORE, GIC]) {
      expect(await lint(file, `${NAMES}\nexport const a = ${text};`, RULE)).toEqual([expect.stringContaining('ask memory/range.ts, which is exact to 2^64')]);
    }
  });

  it.each([
    ['an address and an offset', 'address + offset'],
    ['what is done of a length', 'done < length'],
    ['an offset in a buffer', 'offset + bytes.length'],
    ['two addresses', 'address < slot.gpa'],
    ['two lengths', 'bytes.length - length'],
    ['other operators', 'address % length'],
  ])('does not report %s: %s', async (_, text) => {
    expect(await lint(CORE, `${NAMES}\nexport const a = ${text};`, RULE)).toEqual([]);
  });

  it('is on in every package, and off in the helper alone', async () => {
    const text = `${NAMES}\nexport const a = address + length;`;
    expect(await lint('packages/vfio-core/src/memory/range.ts', text, RULE)).toEqual([]);
    for (const name of readdirSync(join(ROOT, 'packages'))) expect(await lint(`packages/${name}/src/index.ts`, text, RULE)).toHaveLength(1);
  });

  it('has no list from which "not found" takes the last', async () => {
    expect(await lint(GIC, 'export const a = [1].splice([1].indexOf(2), 1);', 'no-restricted-syntax')).toEqual([expect.stringContaining('removeItem')]);
  });
});

describe('what V8 makes old at once', () => {
  it.each([
    ['a function written into a property', '(a: { f?: () => void }): void => { a.f = () => undefined; };', 'give it a name first'],
    ['a function written into a slot', '(a: (() => void)[]): void => { a[0] ??= function () { a.pop(); }; };', 'give it a name first'],
    ['a generator in an object', '(): object => ({ *show() { yield 1; } });', 'a function of the module'],
    ['a generator expression', '(): object => function* () { yield 1; };', 'a function of the module'],
  ])('is not in the model: %s', async (_, text, message) => {
    for (const file of [GIC, DEMO]) expect(await lint(file, `export const a = ${text}`, 'no-restricted-syntax')).toEqual([expect.stringContaining(message)]);
  });

  it.each([
    'function* show(): Generator<number> { yield 1; } export const a = { show: () => show() };',
    'export class A { f = (): this => this; *show(): Generator<number> { yield 1; } }',
    'export function a(b: { f?: () => void }): void { const f = (): void => undefined; b.f = f; }',
  ])('is not %s', async (text) => {
    expect(await lint(GIC, text, 'no-restricted-syntax')).toEqual([]);
  });
});

describe('the outside world', () => {
  it.each([
    'Date.now()',
    'setTimeout(String, 1)',
    'setInterval(String, 1)',
    'setImmediate(String)',
    'queueMicrotask(String)',
    'performance.now()',
    'console.log(1)',
    'process.pid',
    'Buffer.alloc(1)',
    'globalThis',
  ])('is closed to packages: %s', async (text) => {
    for (const file of [CORE, GIC]) {
      expect(await lint(file, `export const a = ${text};`, 'no-restricted-globals')).toEqual([
        expect.stringContaining('the model is a function of its inputs: take it from the host'),
      ]);
    }
  });

  it('is closed to packages: Math.random', async () => {
    expect(await lint(GIC, 'export const a = Math.random() + Math.floor(1);', 'no-restricted-properties')).toHaveLength(1);
  });

  it('is open to apps', async () => {
    expect(await lint(DEMO, 'console.log(Date.now());', 'no-restricted-globals')).toEqual([]);
  });
});

describe('types', () => {
  it('has no cast of a cast', async () => {
    expect(await lint(GIC, 'export const a = 1 as unknown as string;', 'no-restricted-syntax')).toEqual([
      expect.stringContaining('a cast of a cast says nothing'),
    ]);
  });

  it('has no any', async () => {
    expect(await lint(GIC, 'export const a: any = 1;', '@typescript-eslint/no-explicit-any')).toHaveLength(1);
  });

  it('has no comment that switches a rule off', async () => {
    const off = '// eslint-disable-next-line\nexport const a = Math.random();';
    expect(await lint(GIC, off, 'no-restricted-properties')).toHaveLength(1);
  });
});

it('holds in every package', async () => {
  for (const name of readdirSync(join(ROOT, 'packages'))) {
    const file = join(ROOT, 'packages', name, 'src/index.ts');
    expect(existsSync(file), file).toBe(true);
    expect(await eslint.calculateConfigForFile(file)).toMatchObject({
      linterOptions: { noInlineConfig: true },
      rules: { 'vsim/house-plan': [2, expect.anything()], 'vsim/floating-sleeps': [2] },
    });
  }
});

describe('public-words', () => {
  const RULE = 'vsim/public-words';

  it.each([
    ['a number of a function', '/** Adds. */ export function add(a: number): void {}', 'a is a number'],
    ['a number of a constant function', '/** Adds. */ export const add = (a: number): number => a;', 'a is a number'],
    ['a number by its default', '/** Adds. */ export function add(a = 1): void {}', 'a is a number'],
    ['a number of a method', 'export class A { /** Adds. */ add(a: number): void {} }', 'a is a number'],
    ['a number of a constructor', 'export class A { /** Makes. */ constructor(readonly a: number) {} }', 'a is a number'],
    ['a number of an interface', 'export interface A { /** Adds. */ add(a: number): void }', 'a is a number'],
    ['a @param that says nothing', '/** Adds. @param a */ export function add(a: number): void {}', 'a is a number'],
    ['an error', '/** Adds. */ export function add(): void { if (1) throw new RangeError("no"); }', 'it throws'],
    ['an errno', '/** -EBUSY, if not. */ export function add(a: boolean): number { return a ? -EINVAL : -EBUSY; }', 'it returns -EINVAL'],
    ['another errno', '/** -EINVAL, if so. */ export function add(a: boolean): number { return a ? -EINVAL : -EBUSY; }', 'it returns -EBUSY'],
  ])('misses %s', async (_, text, message) => {
    const reports = await lint(VMM, text, RULE);
    expect(reports.map((report) => report.includes(message))).toEqual([true]);
  });

  it.each([
    ['a @param', '/** Adds. @param a bytes */ export function add(a: number): void {}'],
    ['a name in backticks', '/** Adds `a` bytes. */ export function add(a: number): void {}'],
    ['words elsewhere', '/** {@inheritDoc B.add} */ export function add(a: number): void {}'],
    ['a private method', 'export class A { /** Adds. */ private add(a: number): void {} }'],
    ['what is not exported', '/** Adds. */ function add(a: number): void {}'],
    ['an error that is told', '/** @throws RangeError for none */ export function add(): void { throw new RangeError("no"); }'],
    ['an error of a function inside', '/** Adds. */ export function add(): () => void { return () => { throw new RangeError("no"); }; }'],
    ['an errno that is told', '/** -EINVAL, always. */ export function add(): number { return -EINVAL; }'],
  ])('takes %s', async (_, text) => {
    expect(await lint(VMM, text, RULE)).toEqual([]);
  });
});
