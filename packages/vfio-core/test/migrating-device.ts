/** A VFIO device that migrates with every state of version 2, and can log its DMA: four bytes of state, two of them sent at once. */
import {
  EINVAL,
  EIO,
  MIG_STATE,
  MigrationDriver,
  PreCopyFile,
  ResumeFile,
  SaveFile,
  type DmaLogger,
  type File,
  type MigState,
  type Sleeps,
} from '@vsim/vfio-core';
import { SampleVfioDevice } from './sample-device.ts';

const { STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P } = MIG_STATE;

export class MigratingDevice extends SampleVfioDevice {
  readonly machine: MigrationDriver = new MigrationDriver(7, { arc: (from, to) => this.#arc(from, to), stopCopyLength: () => this.memory.length });
  readonly arcs: string[] = [];
  refuse: MigState | undefined = undefined;
  readonly files: { pre?: PreCopyFile; save?: SaveFile; resume?: ResumeFile } = {};
  logger: DmaLogger | undefined = undefined;

  override get migration(): MigrationDriver {
    return this.machine;
  }

  override get dmaLogger(): DmaLogger | undefined {
    return this.logger;
  }

  *#arc(from: MigState, to: MigState): Sleeps<File | number> {
    if (to === this.refuse) return -EIO;
    this.arcs.push(`${from}>${to}`);
    const { files } = this;
    if (to === PRE_COPY && from === RUNNING) return (files.pre = new PreCopyFile(this.handler('migration data', () => this.machine), new Uint8Array([1, 2])));
    if (to === PRE_COPY_P2P && from === RUNNING_P2P) return (files.pre = new PreCopyFile(this.handler('migration data', () => this.machine), new Uint8Array([1, 2])));
    if (to === STOP_COPY && from === STOP) return (files.save = new SaveFile(this.memory));
    if (to === STOP_COPY) files.pre?.finish(this.memory);
    if (to === RESUMING) return (files.resume = new ResumeFile(8));
    if (to === STOP || to === RUNNING || to === RUNNING_P2P) {
      files.pre?.disable();
      files.save?.disable();
      if (from === RESUMING && files.resume !== undefined) {
        if (files.resume.bytes.length !== 4) return -EINVAL;
        this.memory.set(files.resume.bytes);
        files.resume.disable();
      }
    }
    return 0;
  }
}
