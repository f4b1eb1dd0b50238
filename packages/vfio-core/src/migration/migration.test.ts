import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { constant, Scheduler, type Sleeps } from '../host/scheduler.ts';
import { EINVAL, EIO, ENODEV, ENOMEM, ESPIPE } from '../uapi/errno.ts';
import { STREAM, type File } from '../process/file.ts';
import { coordinate, type Phase } from './coordinator.ts';
import { ResumeFile, SaveFile } from './data-file.ts';
import { MIG_STATE, MigrationDriver, type MigState } from './migration-driver.ts';
import { StopCopyMigration } from './stop-copy.ts';
import { crc32, decodeStream, encodeStream, SectionReader, StreamError } from './stream.ts';

const { STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P, ERROR } = MIG_STATE;

function driver(flags: number, fail?: (from: MigState, to: MigState) => boolean) {
  const arcs: string[] = [];
  const made = new MigrationDriver(flags, {
    *arc(from, to): Sleeps<File | number> {
      if (fail?.(from, to) === true) return -EIO;
      arcs.push(`${from}>${to}`);
      return 0;
    },
  });
  const go = (target: MigState) => new Scheduler().call('go', made.setState(target));
  return { made, arcs, go };
}

describe('MigrationDriver', () => {
  it('[vfio 7.2/4] takes the steps of the table when it has every state', () => {
    const { arcs, go } = driver(7);
    go(STOP_COPY);
    expect(arcs).toEqual([`${RUNNING}>${RUNNING_P2P}`, `${RUNNING_P2P}>${STOP}`, `${STOP}>${STOP_COPY}`]);
    arcs.length = 0;
    go(RUNNING);
    expect(arcs).toEqual([`${STOP_COPY}>${STOP}`, `${STOP}>${RUNNING_P2P}`, `${RUNNING_P2P}>${RUNNING}`]);
    arcs.length = 0;
    go(PRE_COPY);
    go(STOP_COPY);
    expect(arcs).toEqual([`${RUNNING}>${PRE_COPY}`, `${PRE_COPY}>${PRE_COPY_P2P}`, `${PRE_COPY_P2P}>${STOP_COPY}`]);
  });

  it('leaves out the states that the driver lacks, and refuses them as targets', () => {
    const { made, arcs, go } = driver(1);
    expect([RUNNING_P2P, PRE_COPY, PRE_COPY_P2P].map(go)).toEqual([-EINVAL, -EINVAL, -EINVAL]);
    expect(made.state).toBe(RUNNING);
    go(RESUMING);
    expect(arcs).toEqual([`${RUNNING}>${STOP}`, `${STOP}>${RESUMING}`]);
    expect(go(RESUMING)).toBe(0);
    expect(go(ERROR)).toBe(-EINVAL);
    made.reset();
    expect(made.state).toBe(RUNNING);
  });

  it('refuses STOP_COPY to PRE_COPY', () => {
    const { go } = driver(7);
    go(STOP_COPY);
    expect([go(PRE_COPY), go(PRE_COPY_P2P)]).toEqual([-EINVAL, -EINVAL]);
  });

  it('stays at the last arc that succeeded', () => {
    const { made, go } = driver(1, (_from, to) => to === STOP_COPY);
    expect(go(STOP_COPY)).toBe(-EIO);
    expect(made.state).toBe(STOP);
  });
});

describe('StopCopyMigration', () => {
  it('asks the device before each arc, and stays where an arc is refused', () => {
    const asked: string[] = [];
    let refused = '';
    const made = new StopCopyMigration({
      stateLimit: 1,
      stop: () => undefined,
      start: () => undefined,
      save: () => new Uint8Array(1),
      load: () => true,
      refusal: (from, to) => {
        asked.push(`${from}>${to}`);
        return `${from}>${to}` === refused ? -EIO : 0;
      },
    });
    const go = (target: MigState) => new Scheduler().call('go', made.setState(target));
    refused = `${STOP}>${STOP_COPY}`;
    expect([go(STOP_COPY), made.state, asked]).toEqual([-EIO, STOP, [`${RUNNING}>${STOP}`, `${STOP}>${STOP_COPY}`]]);
    refused = `${STOP}>${RUNNING}`;
    expect([go(RUNNING), made.state]).toEqual([-EIO, STOP]);
    refused = '';
    expect([go(RUNNING), made.state]).toEqual([0, RUNNING]);
  });
});

describe('data files', () => {
  it('are streams: bytes, an end, no offset, nothing after disable', () => {
    const save = new SaveFile(new Uint8Array([1, 2, 3]));
    const into = new Uint8Array(2);
    expect([save.read(into, STREAM), save.read(into, STREAM), save.read(into, STREAM)]).toEqual([2, 1, 0]);
    expect(save.read(into, 0)).toBe(-ESPIPE);
    save.disable();
    expect(save.read(into, STREAM)).toBe(-ENODEV);
    const resume = new ResumeFile(3);
    expect([resume.write(new Uint8Array([7, 8]), STREAM), resume.write(new Uint8Array(2), STREAM)]).toEqual([2, -ENOMEM]);
    expect([...resume.bytes]).toEqual([7, 8]);
    expect(resume.write(new Uint8Array(1), 4)).toBe(-ESPIPE);
    resume.disable();
    expect(resume.write(new Uint8Array(1), STREAM)).toBe(-ENODEV);
  });
});

describe('migration stream', () => {
  const section = fc.record({
    name: fc.string({ minLength: 1, maxLength: 12 }),
    version: fc.nat(0xffff),
    data: fc.uint8Array({ maxLength: 40 }),
  });

  it('gives back what went in, and refuses every cut and every flipped bit', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf4_3926);
    expect(crc32(new TextEncoder().encode('The quick brown fox jumps over the lazy dog'))).toBe(0x414f_a339);
    fc.assert(
      fc.property(fc.array(section, { maxLength: 4 }), fc.nat(), fc.nat(7), (sections, at, bit) => {
        const bytes = encodeStream(sections);
        const names = (list: readonly { name: string }[]) => list.map(({ name }) => new TextDecoder().decode(new TextEncoder().encode(name)));
        const back = decodeStream(bytes);
        expect(names(back)).toEqual(names(sections));
        expect(back.map(({ data }) => [...data])).toEqual(sections.map(({ data }) => [...data]));
        expect(() => decodeStream(bytes.subarray(0, at % bytes.length))).toThrow(StreamError);
        expect(() => decodeStream(new Uint8Array([...bytes, 0]))).toThrow(StreamError);
        const flipped = bytes.slice();
        flipped[at % bytes.length]! ^= 1 << bit;
        expect(() => decodeStream(flipped)).toThrow(StreamError);
      }),
      parameters(5),
    );
  });

  it('wants every section consumed, once, in its version', () => {
    const reader = new SectionReader([
      { name: 'a', version: 1, data: new Uint8Array(1) },
      { name: 'b', version: 2, data: new Uint8Array(0) },
    ]);
    expect(reader.take('a', 1)).toHaveLength(1);
    expect(() => reader.take('a', 1)).toThrow(/a: missing/);
    expect(() => reader.take('b', 1)).toThrow(/expected version 1, got 2/);
    expect(() => {
      reader.done();
    }).toThrow(/left over: b/);
  });
});

describe('coordinate', () => {
  function phases(log: string[], failing?: string): Phase[] {
    return ['stop', 'save', 'commit', 'forget'].map((name) => ({
      name,
      run: () => {
        log.push(name);
        return constant(name === failing ? -EIO : 0);
      },
      undo: () => {
        log.push(`undo ${name}`);
        return constant(undefined);
      },
    }));
  }
  const run = (list: Phase[], log: string[] = []) => new Scheduler().call('m', coordinate(list, 'commit', (name) => log.push(`> ${name}`)));

  it('runs the phases in their order', () => {
    const log: string[] = [];
    expect(run(phases(log), log)).toEqual({ outcome: 'migrated' });
    expect(log.filter((line) => !line.startsWith('>'))).toEqual(['stop', 'save', 'commit', 'forget']);
  });

  it('undoes what has run, the failed phase first, when one fails up to the commit point: it may have done a part of its work', () => {
    for (const [failing, undone] of [
      ['stop', ['undo stop']],
      ['save', ['undo save', 'undo stop']],
      ['commit', ['undo commit', 'undo save', 'undo stop']],
    ] as const) {
      const log: string[] = [];
      expect(run(phases(log, failing))).toEqual({ outcome: 'cancelled', phase: failing, error: -EIO });
      expect(log.filter((line) => line.startsWith('undo'))).toEqual(undone);
    }
  });

  it('undoes nothing after it, tells the first failure, and runs what is left', () => {
    const log: string[] = [];
    const list = [...phases(log, 'forget'), ...phases(log).slice(0, 1)];
    expect(run(list)).toEqual({ outcome: 'committed-with-error', phase: 'forget', error: -EIO });
    expect(log).toEqual(['stop', 'save', 'commit', 'forget', 'stop']);
  });
});
