/**
 * The VFIO driver of the ticker: vfio-pci, and the migration that vfio-pci does not know. Kernel: a variant driver, as mlx5-vfio-pci.
 * It takes a device only by driver_override.
 */
import {
  EINVAL,
  MIG_STATE,
  MigrationDriver,
  ResumeFile,
  SaveFile,
  VFIO_MIGRATION_STOP_COPY,
  type File,
  type MigState,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import { VfioPciDevice, VfioPciDriver, type PciDevice, type VfioPciDeviceInit } from '@vsim/vfio-pci';
import { TickerFunction } from './ticker.ts';

const { RUNNING, STOP, STOP_COPY, RESUMING } = MIG_STATE;
/** Room for a state; a ticker's is smaller. */
const STATE_LIMIT = 4096;

export class VfioTicker extends VfioPciDevice {
  readonly #ticker: TickerFunction;
  readonly #machine = new MigrationDriver(VFIO_MIGRATION_STOP_COPY, { arc: (from, to) => this.#arc(from, to) });
  #saving: SaveFile | undefined;
  #resuming: ResumeFile | undefined;

  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, ticker: TickerFunction) {
    super(vfio, device, init);
    this.#ticker = ticker;
  }

  override get migration(): MigrationDriver {
    return this.#machine;
  }

  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.#saving?.disable();
    this.#resuming?.disable();
    this.#ticker.start();
    this.#machine.reset();
  }

  *#arc(from: MigState, to: MigState): Sleeps<File | number> {
    if (from === RUNNING && to === STOP) {
      this.#ticker.stop();
      return 0;
    }
    if (from === STOP && to === RUNNING) {
      this.#ticker.start();
      return 0;
    }
    if (from === STOP && to === STOP_COPY) {
      this.#saving = new SaveFile(this.#ticker.save());
      return this.#saving;
    }
    if (from === STOP && to === RESUMING) {
      this.#resuming = new ResumeFile(STATE_LIMIT);
      return this.#resuming;
    }
    if (from === STOP_COPY && to === STOP) {
      this.#saving?.disable();
      return 0;
    }
    if (from === RESUMING && to === STOP) return this.#finishResume();
    return -EINVAL;
  }

  /** The whole state has come: it is taken, or refused with nothing changed. */
  #finishResume(): number {
    const bytes = this.#resuming?.bytes ?? new Uint8Array(0);
    this.#resuming?.disable();
    return this.#ticker.load(bytes) ? 0 : -EINVAL;
  }
}

export class VfioTickerDriver extends VfioPciDriver {
  override readonly name: string = 'vfio-ticker';

  /** Only a ticker, and only by driver_override. */
  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof TickerFunction;
  }

  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof TickerFunction ? new VfioTicker(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
