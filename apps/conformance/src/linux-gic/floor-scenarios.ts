/** What the recorded test program did that its text does not tell: the fields of the guest's commands, and what it wrote to guest memory. */
import { encode, OPCODE } from '@vsim/gic-its';
import { guestDevice, guestEvent, guestLpi, type FloorMachine } from './floor-machine.ts';

/** A command of the guest: a store to its tables first, if any, then the words. */
export interface GuestCommand {
  readonly prepare?: ((machine: FloorMachine) => void) | undefined;
  readonly build: (to: Uint32Array) => void;
}

/** LPIs of a fourth device, which is no device of the host: raised by KVM_SIGNAL_MSI. */
const FOURTH = guestDevice(3);
const FOURTH_LPIS = 9;
const FIRST_OF_FOURTH = 8392;

function configured(n: number, value: number | undefined): GuestCommand['prepare'] {
  return value === undefined ? undefined : (machine): void => machine.configure(guestLpi(n), value);
}

function event(opcode: number, n: number, property?: number): GuestCommand {
  return { prepare: configured(n, property), build: (to) => encode.event(to, opcode, guestDevice(n), guestEvent(n)) };
}

const inv = (n: number, property: number): GuestCommand => event(OPCODE.INV, n, property);
const invall = (icid: number, property: number): GuestCommand => ({ prepare: configured(0, property), build: (to) => encode.invall(to, icid) });
const movi = (n: number, icid: number): GuestCommand => ({ build: (to) => encode.movi(to, guestDevice(n), guestEvent(n), icid) });
const movall = (from: number, to: number): GuestCommand => ({ build: (words) => encode.movall(words, from, to) });

/** Commands after the set-up, by scenario, in order. */
const COMMANDS: Readonly<Record<string, readonly GuestCommand[]>> = {
  masked: [inv(2, 0x81)],
  disabled: [inv(0, 0xa0), inv(0, 0xa1)],
  disabled_wfi: [inv(0, 0xa0), inv(0, 0xa1)],
  invall: [invall(0, 0x91)],
  invall_enable: [inv(0, 0x90), invall(0, 0x91)],
  guest_int_clear: [event(OPCODE.INT, 0), event(OPCODE.CLEAR, 0)],
  movi: [movi(0, 1), movi(0, 0)],
  movall: [movall(0, 1), movall(1, 0)],
  save_pending: [movi(0, 0), movi(2, 0)],
  disabled_saved: [inv(0, 0xa0), inv(0, 0xa1)],
  guest_discard: [event(OPCODE.DISCARD, 0), { build: (to) => encode.mapti(to, guestDevice(0), guestEvent(0), guestLpi(0), 0) }],
  migrate: [movi(0, 0), movi(1, 1)],
  migrate_movall: [movall(1, 0)],
  eoimode: [
    {
      prepare: (machine): void => machine.configure(FIRST_OF_FOURTH + FOURTH_LPIS - 1, 0x81),
      build: (to) => encode.event(to, OPCODE.INV, FOURTH, FOURTH_LPIS - 1),
    },
  ],
};

/** The n-th command of a scenario. */
export function commandOf(scenario: string, n: number): GuestCommand | undefined {
  return COMMANDS[scenario]?.[n];
}

/** The n-th MAPC, MAPD or MAPTI since a VM was made. */
export function setUpCommand(name: string, n: number, vcpus: number): GuestCommand | undefined {
  const device = n < 3 ? guestDevice(n) : FOURTH;
  switch (name) {
    case 'MAPC':
      return { build: (to) => encode.mapc(to, n, n, true) };
    case 'MAPD':
      return { build: (to) => encode.mapd(to, device, 4, 0x4020_0000 + n * 0x1000, true) };
    case 'MAPTI': {
      if (n < 3) return { build: (to) => encode.mapti(to, device, guestEvent(n), guestLpi(n), n % vcpus) };
      const lpi = FIRST_OF_FOURTH + n - 3;
      return { prepare: (machine): void => machine.configure(lpi, 0xa1), build: (to) => encode.mapti(to, FOURTH, n - 3, lpi, 0) };
    }
    default:
      return undefined;
  }
}

/** What comes before the first run of a scenario. */
export function beforeRun(scenario: string, machine: FloorMachine): void {
  if (scenario === 'lr_overflow') for (let n = 0; n < FOURTH_LPIS; n += 1) machine.signalMsi(FOURTH, n);
  if (scenario === 'eoimode') machine.signalMsi(FOURTH, FOURTH_LPIS - 1);
}

/** Scenarios in which an irqfd's work has not run when tables are saved: on a GICv3 the interrupt is in none of them (K5). */
export const SAVED_BEFORE_WORK: readonly string[] = ['save_pending', 'migrate_again'];

/** An MSI whose handler ran on its PE only after the tables were saved: the so-manieth of its scenario. */
export const LATE_MSI = { scenario: 'many', version: 'gicv3', msi: 30 } as const;

/** KVM traps no WFI while nothing else is to run on the PE. */
export const DIRECT_WFI = 'wfi_direct';
