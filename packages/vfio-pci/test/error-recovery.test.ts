/** The walk over the drivers below a port after an error: who is asked what, in which order, and how it ends. */
import { Host, VtdIommu, ApicMsi, type ProfileName, type Sleeps } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  ERROR_DETECTED,
  ERROR_RECOVERY,
  PciBus,
  PciDriver,
  PciFunction,
  PciPort,
  PciePort,
  buildConfig,
  type ChannelState,
  type PciDevice,
  type RecoveryVote,
} from '../src/index.ts';

interface Votes {
  readonly detected?: RecoveryVote;
  readonly mmio?: RecoveryVote;
  readonly slot?: RecoveryVote;
}

/** Writes down what it is asked, and votes as it is told. */
class Walker extends PciDriver {
  override readonly name: string;
  override readonly ids = [];
  readonly #log: string[];
  readonly #votes: Votes;

  constructor(name: string, log: string[], votes: Votes) {
    super();
    this.name = name;
    this.#log = log;
    this.#votes = votes;
  }

  override *probe(_device: PciDevice): Sleeps<number> {
    return 0;
  }

  override *remove(_device: PciDevice): Sleeps<void> {
    // It has nothing.
  }

  override errorDetected(_device: PciDevice, state: ChannelState): RecoveryVote | undefined {
    this.#log.push(`${this.name} detected ${state}`);
    return this.#votes.detected;
  }

  override mmioEnabled(): RecoveryVote | undefined {
    this.#log.push(`${this.name} mmio`);
    return this.#votes.mmio;
  }

  override slotReset(): RecoveryVote | undefined {
    this.#log.push(`${this.name} slot`);
    return this.#votes.slot;
  }

  override resume(): void {
    this.#log.push(`${this.name} resume`);
  }
}

const CARDS = ['0000:02:00.0', '0000:02:00.1'] as const;

/** A root port, a downstream port below it, and two functions below that, each with a driver of its own. */
function machine(a: Votes, b: Votes, profile: ProfileName = 'linux-6.1') {
  const host = new Host({ profile });
  const events = host.trace.record();
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  bus.plug(new PciPort(host, { address: '0000:00:01.0', kind: 'root', secondary: 1, subordinate: 2 }));
  bus.plug(new PciPort(host, { address: '0000:01:00.0', kind: 'downstream', secondary: 2 }));
  host.scheduler.call('modprobe', bus.addDriver(new PciePort()));
  const log: string[] = [];
  const cards = CARDS.map((address, i) => {
    const fn = new PciFunction(host, { address, config: buildConfig({ vendor: 0x1d55, device: 0x100 + i, express: true, aer: true }) });
    const driver = new Walker(`driver-${i}`, log, i === 0 ? a : b);
    host.scheduler.call('modprobe', bus.addDriver(driver));
    const device = bus.plug(fn);
    host.scheduler.call('bind', bus.attach(driver, device));
    // Before 6.0 a driver switches reporting on.
    fn.configWrite(device.express + 8, 2, 0xf);
    return fn;
  });
  const recovery = (): readonly string[] => events.filter(({ id }) => id === ERROR_RECOVERY.id).map(({ text }) => text);
  return { host, bus, cards, log, events, recovery };
}

const CAN: Votes = { detected: 'can-recover' };

describe('an error that is not fatal', () => {
  it('is told to every driver below the port, then mmio_enabled, then resume', () => {
    const { cards, log, recovery } = machine(CAN, CAN);
    cards[0]!.error('completion-timeout');
    expect(log).toEqual(['driver-0 detected normal', 'driver-1 detected normal', 'driver-0 mmio', 'driver-1 mmio', 'driver-0 resume', 'driver-1 resume']);
    expect(recovery()).toEqual(['0000:02:00.0: recovered: 2 devices below 0000:01:00.0']);
  });

  it('with a driver that wants a reset goes to slot_reset, past mmio_enabled', () => {
    const { cards, log } = machine(CAN, { detected: 'need-reset', slot: 'recovered' });
    cards[1]!.error('poisoned-tlp');
    expect(log.slice(2)).toEqual(['driver-0 slot', 'driver-1 slot', 'driver-0 resume', 'driver-1 resume']);
  });

  it('may come to want a reset in mmio_enabled', () => {
    const { cards, log } = machine(CAN, { detected: 'can-recover', mmio: 'need-reset', slot: 'recovered' });
    cards[0]!.error('completer-abort');
    expect(log.slice(2, 6)).toEqual(['driver-0 mmio', 'driver-1 mmio', 'driver-0 slot', 'driver-1 slot']);
  });

  it.each<[string, Votes, string]>([
    ['gives its device up', { detected: 'disconnect' }, 'a driver gave its device up'],
    ['gives it up in slot_reset', { detected: 'need-reset', slot: 'disconnect' }, 'a driver gave its device up'],
    ['has no callback', {}, 'a device has no driver that could recover it'],
  ])('is not recovered from where a driver %s', (_name, votes, why) => {
    const { cards, log, recovery } = machine(CAN, votes);
    cards[0]!.error('completion-timeout');
    expect(recovery()).toEqual([`0000:02:00.0: not recovered: ${why}`]);
    expect(log.filter((line) => line.endsWith('resume'))).toEqual([]);
  });

  it('clears the error that it recovered from', () => {
    const { cards } = machine(CAN, CAN);
    cards[0]!.error('completion-timeout');
    expect(cards[0]!.configRead(0x104, 4)).toBe(0);
  });
});

describe('a fatal error', () => {
  it('freezes the channel, and resets the link between error_detected and what follows', () => {
    const { cards, log } = machine(CAN, CAN);
    cards[0]!.configWrite(4, 2, 6);
    cards[0]!.error('malformed-tlp');
    expect(log.slice(0, 2)).toEqual(['driver-0 detected frozen', 'driver-1 detected frozen']);
    expect(cards[0]!.command & 6).toBe(0);
    expect(log.slice(-2)).toEqual(['driver-0 resume', 'driver-1 resume']);
  });

  it.each(['linux-5.10', 'linux-5.13', 'linux-7.3'] as const)('%s: a link that comes back does not overrule a driver that gave up', (profile) => {
    const { cards, log } = machine(CAN, { detected: 'disconnect' }, profile);
    cards[0]!.error('malformed-tlp');
    expect(log.filter((line) => line.endsWith('resume'))).toEqual([]);
  });
});

describe('an error that nobody reports', () => {
  it.each([
    ['its mask', 0x108, 'masked in its mask register'],
    ['DEVCTL', undefined, 'reporting is off in DEVCTL and COMMAND'],
  ] as const)('by %s shows in the status all the same', (_name, mask, why) => {
    const { bus, cards, log, events } = machine(CAN, CAN);
    const fn = cards[0]!;
    if (mask === undefined) fn.configWrite((bus.device(CARDS[0])?.express ?? 0) + 8, 2, 0);
    else fn.configWrite(mask, 4, 1 << 14);
    fn.error('completion-timeout');
    expect(log).toEqual([]);
    expect(fn.configRead(0x104, 4)).toBe(1 << 14);
    expect(events.find(({ id }) => id === ERROR_DETECTED.id)?.text).toContain(`not reported: ${why}`);
  });

  it('is reported by SERR of COMMAND alone', () => {
    const { bus, cards, log } = machine(CAN, CAN);
    const fn = cards[0]!;
    fn.configWrite((bus.device(CARDS[0])?.express ?? 0) + 8, 2, 0);
    fn.configWrite(4, 2, 0x100);
    fn.error('completion-timeout');
    expect(log).toHaveLength(6);
  });
});
