import { StopCopyMigration, type MigrationDriver, type RecordedState, type Sleeps, type Vfio } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { VfioPciDevice, type VfioPciDeviceInit } from './vfio-pci-device.ts';

/** A variant driver's device: vfio-pci, and a function whose state is one record. Kernel: what mlx5-vfio-pci and its like add. */
export class VfioMigratingPciDevice extends VfioPciDevice {
  readonly #state: RecordedState;
  readonly #machine: StopCopyMigration;

  /** @param state saves, loads, stops and starts the function */
  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, state: RecordedState) {
    super(vfio, device, init);
    this.#state = state;
    this.#machine = new StopCopyMigration(state);
  }

  /** STOP_COPY migration, version 2: the state is one record, saved while the device is stopped. */
  override get migration(): MigrationDriver {
    return this.#machine;
  }

  /** RUNNING from any state, and no stream goes on. Kernel: the reset_done() of mlx5-vfio-pci, hisi-acc-vfio-pci and others. */
  override resetDone(): void {
    this.#machine.reset();
    this.#state.start();
  }

  /** The last close: as vfio-pci. The next user finds the device running. */
  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.resetDone();
  }
}
