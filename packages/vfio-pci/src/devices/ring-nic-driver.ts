/** The VFIO driver of the ring NIC: vfio-pci with migration and DMA logging. It takes a card only by driver_override. */
import {
  EINVAL,
  MIG_STATE,
  MigrationDriver,
  ResumeFile,
  SaveFile,
  VFIO_MIGRATION_STOP_COPY,
  type DmaLogger,
  type File,
  type MigState,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { VfioPciDevice, type VfioPciDeviceInit } from '../vfio/vfio-pci-device.ts';
import { VfioPciDriver } from '../vfio/vfio-pci-driver.ts';
import { RingNic } from './ring-nic.ts';

const { RUNNING, STOP, STOP_COPY, RESUMING } = MIG_STATE;
/** More than a state has. */
const STATE_LIMIT = 4096;

export class VfioRingNic extends VfioPciDevice {
  readonly #nic: RingNic;
  readonly #machine = new MigrationDriver(VFIO_MIGRATION_STOP_COPY, { arc: (from, to) => this.#arc(from, to) });
  #saving: SaveFile | undefined;
  #resuming: ResumeFile | undefined;

  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, nic: RingNic) {
    super(vfio, device, init);
    this.#nic = nic;
  }

  override get migration(): MigrationDriver {
    return this.#machine;
  }

  override get dmaLogger(): DmaLogger {
    return this.#nic.dmaLog;
  }

  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.#saving?.disable();
    this.#resuming?.disable();
    this.#nic.dmaLog.stop();
    this.#nic.start();
    this.#machine.reset();
  }

  *#arc(from: MigState, to: MigState): Sleeps<File | number> {
    if (from === RUNNING && to === STOP) this.#nic.stop();
    else if (from === STOP && to === RUNNING) this.#nic.start();
    else if (from === STOP && to === STOP_COPY) return (this.#saving = new SaveFile(this.#nic.save()));
    else if (from === STOP && to === RESUMING) return (this.#resuming = new ResumeFile(STATE_LIMIT));
    else if (from === STOP_COPY && to === STOP) this.#saving?.disable();
    else if (from === RESUMING && to === STOP) return this.#finishResume();
    else return -EINVAL;
    return 0;
  }

  /** The whole state has come: it is taken, or refused with nothing changed. */
  #finishResume(): number {
    const bytes = this.#resuming?.bytes ?? new Uint8Array(0);
    this.#resuming?.disable();
    return this.#nic.load(bytes) ? 0 : -EINVAL;
  }
}

export class VfioRingNicDriver extends VfioPciDriver {
  override readonly name: string = 'ring-nic-vfio-pci';

  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof RingNic;
  }

  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof RingNic ? new VfioRingNic(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
