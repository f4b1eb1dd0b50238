import { MIG_STATE } from '../migration/migration-driver.ts';
import type { Process } from '../process/process.ts';
import { getMigrationFlags, getMigrationState, setMigrationState } from '../uapi/requests/index.ts';
import { VFIO_DEVICE_RESET, VFIO_MIGRATION_STOP_COPY } from '../uapi/vfio.ts';
import { expectSame, outcomeOf, type ComplianceCase } from './suite.ts';

/** A fresh device, open and running, for each case. */
export interface MigrationSubject {
  /** The process that has the device open. */
  readonly process: Process;
  /** The device's fd. */
  readonly device: number;
}

const { RUNNING, STOP, STOP_COPY, RESUMING } = MIG_STATE;

/** Stops the device and reads all of its state, `step` bytes at a time. */
function save({ process, device }: MigrationSubject, step: number): Uint8Array {
  const fd = setMigrationState(process, device, STOP_COPY);
  const bytes: number[] = [];
  const part = new Uint8Array(step);
  for (;;) {
    const got = process.read(fd, part);
    if (got === 0) break;
    bytes.push(...part.subarray(0, got));
  }
  setMigrationState(process, device, STOP);
  expectSame('read after the state was left', outcomeOf(() => process.read(fd, part)), 'ENODEV');
  process.close(fd);
  return new Uint8Array(bytes);
}

function resume({ process, device }: MigrationSubject, state: Uint8Array, step: number): string {
  const fd = setMigrationState(process, device, RESUMING);
  for (let at = 0; at < state.length; at += step) process.write(fd, state.subarray(at, at + step));
  const outcome = outcomeOf(() => setMigrationState(process, device, STOP));
  process.close(fd);
  return outcome;
}

/**
 * What every device that migrates (version 2) has to answer, whatever its state is made of. Kernel:
 * vfio_ioctl_device_feature_mig_device_state(). `setup` is called once for each case, and again where a case needs a destination.
 */
export function migrationSuite(setup: () => MigrationSubject): readonly ComplianceCase[] {
  return [
    {
      name: 'runs at first, can be stopped and copied, and goes back to running',
      run: () => {
        const { process, device } = setup();
        expectSame('STOP_COPY flag', Number(getMigrationFlags(process, device)) & VFIO_MIGRATION_STOP_COPY, VFIO_MIGRATION_STOP_COPY);
        expectSame('first state', getMigrationState(process, device), RUNNING);
        for (const state of [STOP, RUNNING, STOP_COPY, RUNNING, RESUMING]) {
          const fd = setMigrationState(process, device, state);
          expectSame('state', getMigrationState(process, device), state);
          expectSame('a data fd', fd >= 0, state === STOP_COPY || state === RESUMING);
        }
      },
    },
    {
      name: 'refuses a state that is none, and ERROR, and stays where it is',
      run: () => {
        const { process, device } = setup();
        for (const state of [MIG_STATE.ERROR, 8, 0xffff]) {
          expectSame(`state ${state}`, outcomeOf(() => setMigrationState(process, device, state)), 'EINVAL');
        }
        expectSame('state', getMigrationState(process, device), RUNNING);
        expectSame('the same state', setMigrationState(process, device, RUNNING), -1);
      },
    },
    {
      name: 'saves the same state however it is read, and restores it however it is written',
      run: () => {
        const source = setup();
        const state = save(source, 4096);
        expectSame('a byte at a time', save(source, 1).join(), state.join());
        for (const step of [1, 7, 4096]) {
          const destination = setup();
          expectSame(`resume by ${step}`, resume(destination, state, step), 'success');
          expectSame('saved again', save(destination, 4096).join(), state.join());
        }
      },
    },
    {
      name: 'refuses a state that is cut short, at the latest when it leaves RESUMING',
      run: () => {
        const state = save(setup(), 4096);
        if (state.length === 0) return;
        const outcome = resume(setup(), state.subarray(0, -1), 4096);
        if (outcome === 'success') expectSame('a state without its last byte', outcome, 'an error');
      },
    },
    {
      name: 'is RUNNING after VFIO_DEVICE_RESET, from any state, and its stream has ended [M5]',
      run: () => {
        for (const state of [STOP, STOP_COPY, RESUMING]) {
          const { process, device } = setup();
          const fd = setMigrationState(process, device, state);
          process.ioctl(device, VFIO_DEVICE_RESET);
          expectSame(`state after a reset in ${state}`, getMigrationState(process, device), RUNNING);
          if (fd >= 0) expectSame('its stream', outcomeOf(() => process.read(fd, new Uint8Array(1))), state === STOP_COPY ? 'ENODEV' : 'EINVAL');
        }
      },
    },
    {
      name: 'hands out streams: no offset, and the right direction',
      run: () => {
        const { process, device } = setup();
        const fd = setMigrationState(process, device, STOP_COPY);
        const byte = new Uint8Array(1);
        expectSame('pread', outcomeOf(() => process.pread(fd, byte, 0)), 'ESPIPE');
        expectSame('write', outcomeOf(() => process.write(fd, byte)), 'EINVAL');
      },
    },
  ];
}
