/**
 * Live migration of a VM: the phases in their order, as a list. What each phase may rely on is what the ones before it did; the
 * destination's acknowledgement of the whole state is the commit point.
 */
import {
  constant,
  coordinate,
  decodeStream,
  EIO,
  encodeStream,
  getMigrationState,
  MIG_STATE,
  Scheduler,
  SectionReader,
  setMigrationState,
  StreamError,
  SyscallError,
  type MigrationResult,
  type Phase,
  type Section,
} from '@vsim/vfio-core';
import { CTRL, GRP } from '@vsim/gic-its';
import type { AssignedDevice } from './assigned-device.ts';
import { checkPages, PAGE, packPages, storePages } from './ram.ts';
import { itsWords, restoreIts, restoreItsEnable, restoreItsTables, restoreLpiEnables, restoreVgic, saveIts, saveVgic, vgicWords } from './vgic-state.ts';
import { must, VmmError, type VirtualMachine } from './virtual-machine.ts';

/** The wire between two hosts, and what has gone over it. */
export class Link {
  /** Virtual ns for each byte. @default 10 Gbit/s */
  readonly nsPerByte: number = 0.8;
  /** Virtual ns from one end to the other. */
  readonly latency: number = 50_000;
  /** Bytes that it has carried. */
  bytes = 0;
  /** Virtual ns that were spent on the wire. */
  time = 0;

  /** Counts `bytes` that go over it. */
  carry(bytes: number): void {
    this.bytes += bytes;
    this.time += Math.round(bytes * this.nsPerByte) + this.latency;
  }
}

/** The two ends of a migration, and what is between them. */
export interface MigrationInit {
  /** The VM that runs; it is stopped in the end, and stays whole if the migration fails. */
  readonly source: VirtualMachine;
  /** Stopped, with the same devices open, nothing restored. */
  readonly destination: VirtualMachine;
  /** What the state goes over. */
  readonly link: Link;
  /** The physical CPU of each vCPU on a host, for whichever side runs afterwards. */
  readonly place: (vcpu: number) => number;
  /** Everything is stopped and saved: the instant at which pending interrupts can be looked for. */
  readonly stopped?: (() => void) | undefined;
  /** The guest goes on at the destination. */
  readonly resumed?: (() => void) | undefined;
  /** Hears the name of each phase as it begins. */
  readonly progress?: ((phase: string) => void) | undefined;
  /** Called after each round of memory, while the VM still runs. */
  readonly precopyRound?: ((round: number) => void) | undefined;
  /** What the wire makes of the state message. @default it comes as it was sent */
  readonly transport?: Transport | undefined;
  /** Changes the order of the phases, or a phase. @default as migrationPhases() has it */
  readonly order?: ((phases: readonly Phase[]) => readonly Phase[]) | undefined;
}

/** What becomes of a message on its way. */
export type Transport = (message: Uint8Array) => Uint8Array;

/** The phase with which the VM's downtime begins. */
export const STOP: PhaseName = 'stop-vcpus';
/** The phase whose success hands the VM over. */
export const COMMIT: PhaseName = 'acknowledge';
/** The phases in their order. */
export const PHASES = [
  'copy-memory',
  'stop-vcpus',
  'stop-devices',
  'drain-irqfds',
  'save-its-tables',
  'save-pending-tables',
  'copy-rest-of-memory',
  'save-devices',
  'save-registers',
  'send',
  'restore-memory',
  'restore-devices',
  'restore-vgic',
  'enable-lpis',
  'restore-its',
  'restore-its-tables',
  'enable-its',
  'restore-msix',
  'acknowledge',
  'run',
  'forget-source',
] as const;
/** A phase of a migration, by its name. */
export type PhaseName = (typeof PHASES)[number];

const MAX_ROUNDS = 8;
/** Memory that is left for the stop: below this many pages another round is not worth its time. */
const FEW_PAGES = 64;
const VERSION = 1;
const READ_BYTES = 4096;

/** The devices that keep a VM from being migrated, by name. */
export function migrationBlockers(vm: VirtualMachine): readonly string[] {
  return vm.devices.filter((device) => device.migrationFlags === undefined).map(({ name }) => name);
}

/** Runs a migration. A failure before the commit point leaves the source running and the destination to be destroyed. */
export function migrate(init: MigrationInit): MigrationResult {
  const phases = init.order?.(migrationPhases(init)) ?? migrationPhases(init);
  // The VMM's own thread: neither host's kernel runs it.
  return new Scheduler().call('migration', coordinate(phases, COMMIT, init.progress));
}

/** The order of a migration. */
export function migrationPhases({ source, destination, link, place, stopped, resumed, precopyRound, transport }: MigrationInit): Phase[] {
  const { kvm, process, layout: { ram } } = source;
  const allFrames = Array.from({ length: ram.size / PAGE }, (_, i) => ram.base / PAGE + i);
  const messages: Uint8Array[] = [];
  const sections: Section[] = [];
  const sendPages = (frames: readonly number[]): void => {
    const message = encodeStream([{ name: 'ram', version: VERSION, data: packPages(kvm.memory, frames) }]);
    messages.push(message);
    link.carry(message.length);
  };
  let incoming: Incoming | undefined;
  const come = (): Incoming => {
    if (incoming === undefined) throw new StreamError('nothing has come yet');
    return incoming;
  };
  return [
    phase('copy-memory', () => {
      kvm.memory.logDirty(true);
      sendPages(allFrames);
      let dirty = kvm.memory.takeDirty();
      for (let round = 1; round < MAX_ROUNDS; round += 1) {
        precopyRound?.(round);
        dirty = kvm.memory.takeDirty();
        sendPages(dirty);
        if (dirty.length < FEW_PAGES) return;
      }
    }, () => { kvm.memory.logDirty(false); }),
    phase(STOP, () => { source.stop(); }, () => { source.run(place); }),
    phase('stop-devices', () => {
      for (const device of source.devices) setMigrationState(process, device.fd, MIG_STATE.STOP);
    }, () => { runDevices(source); }),
    // A signal that is still on its way through an irqfd is in no table yet.
    phase('drain-irqfds', () => { source.host.host.scheduler.call('drain irqfds', kvm.drainIrqfds()); }),
    phase('save-its-tables', () => { must(source.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0), 'SAVE_TABLES'); }),
    phase('save-pending-tables', () => {
      must(source.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0), 'SAVE_PENDING_TABLES');
      stopped?.();
    }),
    // A type1 container without a driver that pins says of every page that a device may have written it.
    phase('copy-rest-of-memory', () => { sendPages(allFrames); }),
    phase('save-devices', () => {
      for (const device of source.devices) {
        sections.push({ name: `device ${device.name}`, version: VERSION, data: readState(source, device) });
        sections.push({ name: `msix ${device.name}`, version: VERSION, data: device.saveMsix() });
      }
    }),
    phase('save-registers', () => {
      sections.push({ name: 'vgic', version: VERSION, data: saveVgic(source) });
      sections.push({ name: 'its', version: VERSION, data: saveIts(source.its) });
    }),
    phase('send', () => {
      const message = encodeStream(sections);
      link.carry(message.length);
      incoming = receive(destination, messages, transport?.(message) ?? message);
    }),
    phase('restore-memory', () => { for (const round of come().pages) storePages(destination.kvm.memory, round); }),
    phase('restore-devices', () => { for (const { device, state } of come().devices) writeState(destination, device, state); }),
    phase('restore-vgic', () => { restoreVgic(destination, come().vgic); }),
    phase('enable-lpis', () => { restoreLpiEnables(destination, come().vgic); }),
    phase('restore-its', () => { restoreIts(destination.its, come().its); }),
    phase('restore-its-tables', () => { restoreItsTables(destination.its); }),
    phase('enable-its', () => { restoreItsEnable(destination.its, come().its); }),
    // Last, as forwarding needs the LPIs that the tables brought: their pending state goes to the hardware here.
    phase('restore-msix', () => { for (const { device, msix } of come().devices) device.restoreMsix(msix); }),
    phase(COMMIT, () => { link.carry(0); }),
    phase('run', () => {
      const refused = runDevices(destination);
      resumed?.();
      destination.run(place);
      if (refused !== undefined) throw refused;
    }),
    phase('forget-source', () => { source.destroy(); }),
  ];
}

/** A phase of plain calls: what they throw as an errno or a bad stream is the phase's failure. */
function phase(name: PhaseName, run: () => void, undo?: () => void): Phase {
  const attempt = (): number => {
    try {
      run();
      return 0;
    } catch (error) {
      if (error instanceof SyscallError || error instanceof VmmError) return error.errno;
      if (error instanceof StreamError) return -EIO;
      throw error;
    }
  };
  return {
    name,
    run: () => constant(attempt()),
    undo: () => {
      undo?.();
      return constant(undefined);
    },
  };
}

/** Every device runs that can: one that refuses keeps neither the others nor the guest from it. @returns what the first said */
function runDevices({ process, devices }: VirtualMachine): SyscallError | undefined {
  let refused: SyscallError | undefined;
  for (const { fd } of devices) {
    try {
      if (getMigrationState(process, fd) !== MIG_STATE.RUNNING) setMigrationState(process, fd, MIG_STATE.RUNNING);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      refused ??= error;
    }
  }
  return refused;
}

/** STOP_COPY: the device's state, read from its data fd to the end. */
function readState({ process }: VirtualMachine, device: AssignedDevice): Uint8Array {
  const fd = setMigrationState(process, device.fd, MIG_STATE.STOP_COPY);
  const bytes: number[] = [];
  const block = new Uint8Array(READ_BYTES);
  for (let got = process.read(fd, block); got > 0; got = process.read(fd, block)) bytes.push(...block.subarray(0, got));
  process.close(fd);
  setMigrationState(process, device.fd, MIG_STATE.STOP);
  return new Uint8Array(bytes);
}

/** RESUMING: the state, written to the device's data fd; the device takes it when it leaves the state. */
function writeState({ process }: VirtualMachine, device: AssignedDevice, state: Uint8Array): void {
  const fd = setMigrationState(process, device.fd, MIG_STATE.RESUMING);
  try {
    process.write(fd, state);
  } finally {
    process.close(fd);
  }
  setMigrationState(process, device.fd, MIG_STATE.STOP);
}

/** What has come, checked and taken apart; nothing of it applied. */
interface Incoming {
  /** Rounds of memory, in order. */
  readonly pages: readonly Uint8Array[];
  readonly devices: readonly { readonly device: AssignedDevice; readonly state: Uint8Array; readonly msix: Uint8Array }[];
  readonly vgic: Uint8Array;
  readonly its: Uint8Array;
}

/** Reads and checks everything before the first thing is applied. @throws StreamError */
function receive(vm: VirtualMachine, memory: readonly Uint8Array[], state: Uint8Array): Incoming {
  const pages = memory.map((message) => {
    const reader = new SectionReader(decodeStream(message));
    const packed = reader.take('ram', VERSION);
    reader.done();
    checkPages(vm.kvm.memory, packed);
    return packed;
  });
  const reader = new SectionReader(decodeStream(state));
  const devices = vm.devices.map((device) => ({
    device,
    state: reader.take(`device ${device.name}`, VERSION),
    msix: reader.take(`msix ${device.name}`, VERSION),
  }));
  const vgic = reader.take('vgic', VERSION);
  const its = reader.take('its', VERSION);
  reader.done();
  for (const { device, msix } of devices) device.checkMsix(msix);
  vgicWords(vm, vgic);
  itsWords(its);
  return { pages, devices, vgic, its };
}
