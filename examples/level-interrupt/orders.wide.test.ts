/**
 * vmm.ts in every order: what the device, the VMM and user space do is put between any two steps of the guest, and of the VMM's calls. Each byte on the
 * wire is taken once, in an interrupt of the guest's (not lost), and no interrupt comes for which there is nothing to do (not doubled).
 */
import { describe, expect, it } from 'vitest';
import type { Point, ProfileName, Sleeps, Thread } from '@vsim/vfio-core';
import { END_NOT_TOLD, IRQFD_INJECT } from '@vsim/gic-its';
import { LONG } from '../../testing/random.ts';
import { board, X, type Board } from './board.ts';
import { PassedDevice, Vmm, type Saved } from './vmm.ts';

/** A kernel, and whether its guest masks the SPI while it serves it: the newest; the long run takes the others too. */
const GUESTS: readonly (readonly [ProfileName, boolean])[] = [
  ['linux-7.3', true],
  ...(LONG ? [['linux-6.1', false], ['linux-6.1', true], ['linux-6.12', false], ['linux-6.12.117', true]] as const : []),
];
const TURNS: readonly [Point, Point] = [{ point: 'test/turn' }, { point: 'test/other-turn' }];

/** The body, held at each of its points: at two in turn, so that letting go of one brings it to the next. */
function* inTurns<T>(body: Sleeps<T>): Sleeps<T> {
  for (let n = 0; ; n += 1) {
    const step = body.next();
    if (step.done === true) return step.value;
    yield 'point' in step.value ? TURNS[n % 2]! : step.value;
  }
}

/** A board, its VMM and a guest that makes one step at a time. */
class World {
  readonly board: Board;
  /** Why resamplers were not told. */
  readonly told: string[] = [];
  device: PassedDevice;
  vmm: Vmm;
  saved: Saved | undefined;
  #vcpu: Thread<number> | undefined;
  #sent = 0;

  constructor(profile: ProfileName, oneshot: boolean) {
    this.board = board({ profile, oneshot });
    this.board.host.trace.listen(({ id, text }) => { if (id === END_NOT_TOLD.id) this.told.push(text.split(': ').at(-1)!); });
    for (const turn of TURNS) this.board.host.scheduler.stopAt(turn);
    this.device = new PassedDevice(this.board.user);
    this.vmm = new Vmm(this.device);
  }

  readonly byte = (): void => {
    this.#sent += 1;
    this.board.uart.receive(this.#sent);
    this.board.host.scheduler.settle();
  };
  readonly irqfd = (): void => { this.vmm.irqfd(); };
  readonly resample = (): void => { this.device.unmaskByResample(); };
  readonly trigger = (): void => { this.device.trigger(); };
  readonly unmask = (): void => { this.device.unmask(); };
  readonly run = (): void => { this.#vcpu = this.board.user.start('vcpu', inTurns(this.vmm.run())); };
  readonly work = (): void => { this.board.host.scheduler.release(IRQFD_INJECT); };
  readonly stop = (): void => { this.#vcpu?.signal(); };
  readonly save = (): void => { this.saved = this.vmm.save(); };
  readonly close = (): void => { this.vmm.close(); };
  readonly create = (): void => { this.vmm = new Vmm(this.device); };
  readonly restore = (): void => { this.vmm.restore(this.saved!); };
  readonly reopen = (): void => {
    this.device.close();
    this.device = new PassedDevice(this.board.user);
  };

  /** One step of the guest. @returns false while it sleeps, or is not run */
  step(): boolean {
    const { scheduler } = this.board.host;
    const outcome = this.#vcpu?.outcome;
    const turn = outcome?.state === 'held' ? TURNS.find(({ point }) => point === outcome.at) : undefined;
    if (turn === undefined) return false;
    scheduler.release(turn);
    scheduler.stopAt(turn);
    return true;
  }

  /** All that the guest has still to do; then it is stopped. */
  settle(): { readonly taken: boolean; readonly idle: number } {
    for (let steps = 0; steps < 20_000 && this.step(); steps += 1);
    this.stop();
    const log = this.vmm.log(this.#sent);
    return { taken: this.vmm.register(X.BYTES) === this.#sent && log.every((byte, n) => byte === n + 1), idle: this.vmm.register(X.IDLE) };
  }
}

/** Runs `actions`, in their order, in each way to put them between the guest's steps. @returns how many ways there were */
function everyOrder(setUp: () => World, actions: (world: World) => readonly (() => void)[], end: (world: World, order: string) => void): number {
  let prefix = '';
  for (let count = 1; ; count += 1) {
    const world = setUp();
    const todo = actions(world);
    let order = '';
    let last = -1;
    for (let next = 0; next < todo.length; ) {
      const act = order.length < prefix.length ? prefix[order.length] === 'A' : !world.step();
      if (act) todo[next]!();
      else if (order.length < prefix.length) world.step();
      // Here the action could have come before.
      if (!act) last = order.length;
      order += act ? 'A' : 'g';
      if (act) next += 1;
    }
    end(world, order);
    if (last < 0) return count;
    prefix = `${order.slice(0, last)}A`;
  }
}

/** `extra` between any two of the others. */
function inserted<T>(list: readonly T[], extra: T): T[][] {
  return Array.from({ length: list.length + 1 }, (_, n) => [...list.slice(0, n), extra, ...list.slice(n)]);
}

function permutations<T>(list: readonly T[]): T[][] {
  return list.length < 2 ? [[...list]] : list.flatMap((one, n) => permutations(list.toSpliced(n, 1)).map((rest) => [one, ...rest]));
}

type Act = 'byte' | 'irqfd' | 'resample' | 'trigger' | 'unmask' | 'run' | 'work' | 'stop' | 'save' | 'close' | 'create' | 'restore' | 'reopen';

/** How a run ended: whether each byte was taken once, also one more at the end; interrupts without any; why resamplers were not told. */
interface Ended {
  readonly order: string;
  readonly taken: boolean;
  readonly idle: number;
  readonly told: readonly string[];
}

function everyEnd(setUp: () => World, orders: readonly (readonly Act[])[]): { readonly ends: readonly Ended[]; readonly runs: number } {
  const ends: Ended[] = [];
  for (const names of orders) {
    everyOrder(setUp, (world) => names.map((name) => world[name]), (world, order) => {
      while (world.step());
      world.byte();
      ends.push({ order: `${names.join(' ')}: ${order}`, ...world.settle(), told: world.told });
    });
  }
  return { ends, runs: ends.length };
}

const isLost = ({ taken }: Ended): boolean => !taken;
const isDoubled = ({ idle }: Ended): boolean => idle > 0;

describe.each(GUESTS)('a level interrupt on %s, masked while it is served: %s', (profile, oneshot) => {
  const running = (): World => {
    const world = new World(profile, oneshot);
    for (const act of [world.irqfd, world.resample, world.trigger, world.run]) act();
    while (world.step());
    return world;
  };

  it('reaches the guest once, and the end the device, also where user space unmasks by hand', () => {
    const once = inserted<Act>(['byte', 'byte'], 'unmask');
    const { ends, runs } = everyEnd(running, [['byte', 'byte', 'byte'], ...once.flatMap((order) => inserted(order, 'unmask'))]);
    expect(runs).toBeGreaterThan(500);
    expect(ends.filter((end) => isLost(end) || isDoubled(end) || end.told.length > 0)).toEqual([]);
  });

  it('that came before the guest, its VMM’s calls or its driver, in any order of these, is neither lost nor doubled', () => {
    const wired = permutations<Act>(['irqfd', 'resample', 'trigger']).flatMap((order) => inserted(order, 'byte')).flatMap((order) => inserted(order, 'run'));
    const { ends, runs } = everyEnd(() => new World(profile, oneshot), wired);
    expect(runs).toBeGreaterThan(1000);
    expect(ends.filter((end) => isLost(end) || isDoubled(end) || end.told.length > 0)).toEqual([]);
  });

  it('whose eventfd had a count when the irqfd was made waits for its work item, which comes at any time', () => {
    const held = (): World => {
      const world = new World(profile, oneshot);
      world.board.host.scheduler.stopAt(IRQFD_INJECT);
      return world;
    };
    const { ends } = everyEnd(held, inserted<Act>(['trigger', 'byte', 'resample', 'irqfd', 'run'], 'work').slice(4));
    expect(ends.filter((end) => isLost(end) || isDoubled(end))).toEqual([]);
  });

  describe('over a save and restore', () => {
    const saved: readonly Act[] = ['stop', 'save', 'close', 'create', 'restore', 'irqfd'];
    const withBytes = (acts: readonly Act[]): Act[][] => inserted(acts, 'byte').map((order) => ['byte', ...order]);

    it('is neither lost nor doubled, where the VMM unmasks by hand', () => {
      const { ends, runs } = everyEnd(running, withBytes([...saved, 'unmask', 'run']));
      expect(runs).toBeGreaterThan(100);
      expect(ends.filter((end) => isLost(end) || isDoubled(end))).toEqual([]);
    });

    it('nor where the device is closed, and opened anew', () => {
      const reopened: readonly Act[] = ['stop', 'save', 'close', 'reopen', 'create', 'restore', 'irqfd', 'resample', 'trigger', 'run'];
      expect(everyEnd(running, withBytes(reopened)).ends.filter((end) => isLost(end) || isDoubled(end))).toEqual([]);
    });

    it('is lost by the kernel where it comes between save and close, and nobody unmasks: which is told', () => {
      const lost = everyEnd(running, withBytes([...saved, 'run'])).ends.filter(isLost);
      expect(lost.length).toBeGreaterThan(0);
      expect(lost.filter(({ told, order }) => !told.includes('deassign') || !order.startsWith('byte stop save byte close'))).toEqual([]);
    });

    it('is lost by the kernel where the level is restored behind the irqfd, and nobody unmasks: which is told', () => {
      const late: readonly Act[] = ['stop', 'save', 'close', 'create', 'irqfd', 'restore', 'run'];
      const lost = everyEnd(running, withBytes(late)).ends.filter(isLost);
      expect(lost.some(({ told }) => told.includes('level-info'))).toBe(true);
      expect(lost.filter(({ told }) => !told.includes('level-info') && !told.includes('deassign'))).toEqual([]);
    });
  });
});

it('on linux-7.3 a guest that takes and ends it without an exit gets it again until the host’s timer comes between: doubled by the kernel, never lost, and told', () => {
  const world = new World('linux-7.3', false);
  for (const act of [world.irqfd, world.resample, world.trigger, world.run]) act();
  while (world.step());
  world.byte();
  const { taken, idle } = world.settle();
  expect([taken, idle > 0, idle]).toEqual([true, true, world.told.filter((why) => why === 'unseen').length]);
});
