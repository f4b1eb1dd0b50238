/** An NVMe controller behind a server, used by a process of another simulated host, and moved between two servers with commands in flight. */
import { Host, MIG_STATE, openDevice, Process, Random, setMigrationState, SyscallError, Vfio } from '@vsim/vfio-core';
import { JoinedChannel, servedDevice, ServerSession, VfioUserBus } from '@vsim/vfio-user';
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_IO, type NvmeInit } from '@vsim/devices';
import { DATA, MEMORY, NvmeDriver } from '../../../packages/devices/test/nvme-driver.ts';
import { ADDRESS, BLOCK, BLOCKS, nvmeHost } from '../../../packages/devices/test/nvme-host.ts';
import { forSeeds } from '../../../testing/random.ts';

const { RESUMING, RUNNING, STOP, STOP_COPY } = MIG_STATE;
const ENTRIES = 16;
const PAGE = 4096;
/** Pages for data: more than commands in flight. */
const SLOTS = 64;
/** Few, so that commands meet on one. */
const HOT_BLOCKS = 16;

/** A server with a controller, and the driver in a process of another host. */
function remoteNvme(init: NvmeInit) {
  const far = nvmeHost(init);
  const [clientSide, serverSide] = JoinedChannel.pair();
  serverSide.attend(new ServerSession(serverSide, servedDevice(far.process, openDevice(far.process, ADDRESS, { driver: 'nvme-vfio-pci' }))));
  const host = new Host();
  const bus = new VfioUserBus(host, new Vfio(host));
  const device = host.scheduler.call('connect', bus.connect('disk', clientSide));
  if (typeof device === 'number') throw new Error(`connect: ${device}`);
  clientSide.attend(device.session);
  const process = new Process(host, { name: 'guest' });
  return { disk: far.disk, process, driver: new NvmeDriver(process, 'disk', { entries: ENTRIES, vfioDriver: 'vfio-user' }) };
}

type Side = ReturnType<typeof remoteNvme>;

function save({ process, driver: { opened: { device } } }: Side): Uint8Array {
  const fd = setMigrationState(process, device, STOP_COPY);
  const parts: number[] = [];
  const part = new Uint8Array(PAGE);
  for (let got = process.read(fd, part); got > 0; got = process.read(fd, part)) parts.push(...part.subarray(0, got));
  process.close(fd);
  return Uint8Array.from(parts);
}

function resume({ process, driver: { opened: { device } } }: Side, state: Uint8Array): void {
  const fd = setMigrationState(process, device, RESUMING);
  for (let at = 0; at < state.length; at += PAGE) process.write(fd, state.subarray(at, at + PAGE));
  setMigrationState(process, device, STOP);
  process.close(fd);
}

/** What a guest has asked for, and what came of it. */
class Guest {
  readonly #random: Random;
  readonly #content = new Uint8Array(HOT_BLOCKS);
  readonly #flying = new Map<number, { readonly write: boolean; readonly block: number; readonly value: number; readonly at: number }>();
  #sent = 0;
  done = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get flying(): number {
    return this.#flying.size;
  }

  submit(driver: NvmeDriver): void {
    if (this.#flying.size >= ENTRIES - 1) return;
    const at = DATA + (this.#sent % SLOTS) * 2 * PAGE;
    const write = this.#random.below(2) === 0;
    const [block, value] = [this.#random.below(HOT_BLOCKS), this.#random.below(256)];
    this.#sent += 1;
    driver.memory.writeBytes(at, new Uint8Array(BLOCK).fill(write ? value : 0x5a));
    const id = driver.submit(1, driver.transfer(write ? NVME_IO.WRITE : NVME_IO.READ, block, 1, at));
    if (this.#flying.has(id)) throw new Error(`id ${id} is in flight`);
    this.#flying.set(id, { write, block, value, at });
  }

  /** Each completion is of a command that is in flight, and its data are what came before it. */
  reap(driver: NvmeDriver): void {
    for (const { id, status } of driver.reap(1)) {
      const command = this.#flying.get(id);
      if (command === undefined) throw new Error(`a completion of ${id}, which is not in flight`);
      if (status !== 0) throw new Error(`status ${status} of ${id}`);
      this.#flying.delete(id);
      this.done += 1;
      if (command.write) this.#content[command.block] = command.value;
      else if (driver.memory.readBytes(command.at, BLOCK).some((byte) => byte !== this.#content[command.block])) throw new Error(`data of ${id}`);
    }
  }

  run(side: Side, steps: number): void {
    for (let step = 0; step < steps; step += 1) {
      const what = this.#random.below(4);
      if (what < 2) this.submit(side.driver);
      else if (what === 2) side.disk.serve(1 + this.#random.below(4));
      else this.reap(side.driver);
    }
  }

  /** @returns commands that were in flight and never came back */
  finish(side: Side): number {
    for (let round = 0; round < 4; round += 1) {
      side.disk.serve(ENTRIES);
      this.reap(side.driver);
    }
    return this.#flying.size;
  }
}

describe('an NVMe controller of another host', () => {
  it('is brought up, written and read by the driver of a local one', () => {
    const { driver } = remoteNvme({});
    driver.bringUp();
    const bytes = Uint8Array.from({ length: 2 * BLOCK }, (_, i) => i * 7);
    driver.check(driver.write(3, bytes));
    driver.check(driver.read(3, 2, DATA + 0x4000));
    expect(driver.memory.readBytes(DATA + 0x4000, bytes.length)).toEqual(bytes);
    expect(driver.raised()[1]).toBeGreaterThan(0);
  });

  it('moves between servers with commands in flight: none is lost or done twice', () => {
    let [inFlight, completions, refusals] = [0, 0, 0];
    forSeeds((seed) => {
      const random = new Random(seed);
      const init: NvmeInit = { hold: true, namespaces: [{ store: new MemoryStore(BLOCKS * BLOCK) }] };
      const source = remoteNvme(init);
      source.driver.bringUp();
      const guest = new Guest(random);
      const event = source.driver.submit(0, { opcode: NVME_ADMIN.ASYNC_EVENT_REQUEST });
      guest.run(source, 10 + random.below(60));
      guest.submit(source.driver);
      if (random.below(4) === 0) {
        // A destination that refuses: the source goes on.
        const state = save(source);
        const other = remoteNvme(init);
        expect(() => { resume(other, state.subarray(0, random.below(state.length))); }).toThrow(SyscallError);
        setMigrationState(source.process, source.driver.opened.device, RUNNING);
        refusals += 1;
        guest.run(source, random.below(30));
        guest.submit(source.driver);
      }
      const flying = guest.flying;
      inFlight += flying;
      const state = save(source);
      const destination = remoteNvme(init);
      destination.driver.memory.writeBytes(0, source.driver.memory.readBytes(0, MEMORY));
      destination.driver.takeOver(source.driver);
      resume(destination, state);
      setMigrationState(destination.process, destination.driver.opened.device, RUNNING);
      guest.run(destination, random.below(60));
      expect(guest.finish(destination)).toBe(0);
      // The event's command is there once: Abort finds it.
      const abort = destination.driver.submit(0, { opcode: NVME_ADMIN.ABORT, dwords: [event << 16] });
      expect(destination.driver.reap(0).map(({ id }) => id).sort()).toEqual([event, abort].sort());
      completions += guest.done;
    });
    expect(inFlight).toBeGreaterThan(0);
    expect(completions).toBeGreaterThan(0);
    expect(refusals).toBeLessThan(completions);
  });
});
