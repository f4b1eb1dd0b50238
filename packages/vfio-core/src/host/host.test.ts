import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Process } from '../process/process.ts';
import { assertSameCore, Host } from './host.ts';
import { kernelProfile, type ProfileName } from './profile.ts';
import { Random } from './random.ts';
import { eventKind, isOfKind } from './trace.ts';
import { VERSION } from './version.ts';

describe('Host', () => {
  it('carries the version of its package', () => {
    const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(manifest).toMatchObject({ version: VERSION });
  });

  it('refuses a host of another copy of the core, naming both versions', () => {
    class OtherHost {
      readonly version = '9.9.9';
    }
    const foreign = Object.assign(Object.create(new OtherHost()) as Host, { version: '9.9.9' });
    expect(() => {
      assertSameCore(foreign);
    }).toThrow(/0\.1\.0.*9\.9\.9/);
    expect(() => new Process(foreign)).toThrow(TypeError);
  });

  it('refuses a profile that is none', () => {
    expect(kernelProfile('linux-6.1').name).toBe('linux-6.1');
    const unknown = JSON.parse('"linux-2.4"') as ProfileName;
    expect(() => kernelProfile(unknown)).toThrow(/expected one of .*linux-5\.13.*got linux-2\.4/);
  });

  it('draws chance from its seed alone', () => {
    const draw = (seed: number) => {
      const random = new Random(seed);
      return [random.uint32(), random.below(10), ...random.bytes(4)];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    const random = new Random(3);
    for (let i = 0; i < 1000; i += 1) expect(random.below(6)).toBeLessThan(6);
  });
});

describe('Trace', () => {
  it('builds nothing while nobody listens, and tells every listener in order', () => {
    const host = new Host();
    let built = 0;
    const kind = eventKind('test/event', 'warn', ({ n }: { readonly n: number }) => `event ${n} ${(built += 1)}`);
    host.trace.emit(kind, { n: 1 });
    expect(built).toBe(0);
    const seen = host.trace.record();
    const ids: string[] = [];
    const stop = host.trace.listen(({ id }) => ids.push(id));
    host.scheduler.advance(5);
    host.trace.emit(kind, { n: 2 });
    stop();
    host.trace.emit(kind, { n: 3 });
    expect(seen.map(({ at, text }) => [at, text])).toEqual([
      [5, 'event 2 1'],
      [5, 'event 3 2'],
    ]);
    expect(ids).toEqual(['test/event']);
  });

  it("gives an event's fields by its kind", () => {
    const { trace } = new Host();
    const kind = eventKind('test/event', 'info', ({ n }: { readonly n: number }) => `event ${n}`);
    const other = eventKind('test/other', 'info', () => 'other');
    const seen = trace.record();
    trace.emit(other, {});
    trace.emit(kind, { n: 7 });
    expect(seen.map((event) => (isOfKind(event, kind) ? event.fields.n : undefined))).toEqual([undefined, 7]);
  });

  it('tells steps to those who follow alone, among events, and builds none while nobody does', () => {
    const { trace } = new Host();
    let built = 0;
    const kind = eventKind('test/step', 'info', ({ n }: { readonly n: number }) => `step ${n} ${(built += 1)}`);
    const seen = trace.record();
    trace.step(kind, { n: 1 });
    expect([built, trace.on, trace.followed]).toEqual([0, true, false]);
    const texts: string[] = [];
    const stop = trace.follow(({ text }) => texts.push(text));
    expect(trace.followed).toBe(true);
    trace.step(kind, { n: 2 });
    trace.emit(kind, { n: 3 });
    stop();
    expect(trace.followed).toBe(false);
    trace.step(kind, { n: 4 });
    expect(texts).toEqual(['step 2 1', 'step 3 2']);
    expect(seen.map(({ text }) => text)).toEqual(['step 3 2']);
  });
});
