/** Whatever a driver writes: nothing throws, every call ends, and after a reset the controller works. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import { MemoryStore, NVME_ADMIN, NVME_REGISTER, type NvmeController } from '../src/index.ts';
import { BareDriver, DATA, bareController } from './bare-driver.ts';
import { RAM } from './bare-nvme.ts';

const WINDOW = 0x3000_0000;

function machine(hold: boolean): { readonly host: Host; readonly disk: NvmeController; readonly driver: BareDriver } {
  const host = new Host();
  const disk = bareController(host, { hold, ioQueues: 3, namespaces: [{ store: new MemoryStore(2 ** 20) }, { store: new MemoryStore(2 ** 20), blockSize: 4096 }] });
  // Its own registers are where DMA may lead.
  host.memory.map(WINDOW, 0x4000, { read: (at, width) => disk.readBar(0, at, width), write: (at, width, value) => disk.writeBar(0, at, width, value) });
  const driver = new BareDriver(host, disk, 2);
  driver.bringUp();
  return { host, disk, driver };
}

/** Mostly small, or an address where something is. */
const word = fc.oneof(
  fc.nat(20),
  fc.nat(0xffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.nat(0x4000).map((n) => WINDOW + n),
  fc.nat(0x1_0000).map((n) => n & ~7),
  fc.constantFrom(DATA, DATA + 0x1000, 0x1_0000, 0x1_0001, 0x7_0001, 0x7_0002),
);
const commands = fc.record({ queue: fc.nat(2), opcode: fc.oneof(fc.nat(12), fc.nat(255)), flags: fc.constantFrom(0, 0, 0, 0x40, 0x80, 1), words: fc.array(word, { minLength: 15, maxLength: 15 }) });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('command' as const), command: commands }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('register' as const), at: fc.oneof(fc.nat(15).map((n) => 4 * n), fc.nat(20).map((n) => 0x1000 + 4 * n)), value: word }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('memory' as const), at: fc.nat(0x2000).map((n) => 4 * n), value: word }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('serve' as const), count: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reap' as const), queue: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('config' as const), at: fc.nat(63).map((n) => 4 * n), value: word }) },
  ),
  { maxLength: 60 },
);

describe('nonsense', () => {
  it('in queues, doorbells, registers and lists never throws, and is over after a reset', () => {
    fc.assert(
      fc.property(fc.boolean(), steps, (hold, program) => {
        const { host, disk, driver } = machine(hold);
        for (const step of program) {
          switch (step.kind) {
            case 'command': {
              const { queue, opcode, flags, words } = step.command;
              const { tail } = driver.pairs[queue]!;
              driver.submit(queue, []);
              const entry = Int32Array.of((words[0]! << 16) | (flags << 8) | opcode, ...words);
              entry[1] = words[1]! % 4;
              driver.pairs[queue]!.tail = tail;
              host.memory.writeBytes(RAM + 0x2000 * queue + 64 * tail, new Uint8Array(entry.buffer));
              driver.pairs[queue]!.tail = (tail + 1) % 8;
              disk.writeBar(0, NVME_REGISTER.DOORBELLS + 8 * queue, 4, driver.pairs[queue]!.tail);
              break;
            }
            case 'register':
              disk.writeBar(0, step.at, 4, step.value);
              break;
            case 'memory':
              host.memory.write32(RAM + step.at, step.value);
              break;
            case 'serve':
              disk.serve(step.count);
              break;
            case 'reap':
              driver.reap(step.queue);
              break;
            case 'config':
              disk.configWrite(step.at, 4, step.value);
              break;
          }
        }
        // What it is in now is a state like any other.
        const { disk: like, host: other } = machine(hold);
        const refused = other.trace.record();
        like.load(disk.save());
        expect(refused).toEqual([]);
        expect(like.save()).toEqual(disk.save());
        disk.resetFunction();
        disk.configWrite(4, 2, 6);
        driver.bringUp();
        driver.submit(0, [NVME_ADMIN.IDENTIFY, 0, DATA, 0, 1]);
        expect(driver.reap(0)).toMatchObject([{ status: 0 }]);
      }),
      parameters(10),
    );
  });

  it('as a state is refused with nothing changed, or is a state', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), value: fc.oneof(fc.nat(3), fc.nat(255)) }), { minLength: 1, maxLength: 4 }), (changes) => {
        const { disk, driver } = machine(true);
        for (let n = 0; n < 4; n += 1) driver.submit(1 + (n % 2), [(n << 16) | 2, 1, DATA, 0, n, 0, 0]);
        driver.submit(0, [NVME_ADMIN.ASYNC_EVENT_REQUEST]);
        const state = disk.save();
        for (const { at, value } of changes) state[Math.floor(at * state.length)] = value;
        const other = machine(true);
        const before = other.disk.save();
        if (!other.disk.load(state)) {
          expect(other.disk.save()).toEqual(before);
          return;
        }
        expect(other.disk.save()).toEqual(state);
        other.disk.start();
        other.disk.serve(10);
        for (const queue of [0, 1, 2]) other.driver.reap(queue);
        other.driver.bringUp();
      }),
      parameters(20),
    );
  });
});
