/** An accelerator that writes text in capitals: `vsim serve ./device.ts --watch --socket /tmp/caps.sock`. Change capital() while a guest runs. */
import type { Host, RecordedState } from '@vsim/vfio-core';
import { buildConfig, ones, PciFunction, type BarInit } from '@vsim/vfio-pci';

/** Registers in BAR 0, 32 bits each: a write to RUN changes LENGTH bytes of memory at BUFFER, adds one to DONE, and sends MSI. */
export const REGISTER = { ID: 0x00, BUFFER: 0x04, LENGTH: 0x08, RUN: 0x0c, DONE: 0x10 } as const;
const ID = 0xca95_0001;
const MOST = 0x1_0000;
const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }];

function capital(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
}

class Capitals extends PciFunction implements RecordedState {
  /** Bytes that save() gives. */
  readonly stateLimit = 12;
  /** BUFFER, LENGTH, DONE. */
  #registers = new Uint32Array(3);

  protected override barRead(_bar: number, offset: number, width: number): number {
    if (offset === REGISTER.ID && width === 4) return ID;
    const at = [REGISTER.BUFFER, REGISTER.LENGTH, REGISTER.DONE].findIndex((each) => each === offset);
    return at < 0 || width !== 4 ? ones(width) : this.#registers[at]!;
  }

  protected override barWrite(_bar: number, offset: number, width: number, value: number): void {
    if (width !== 4) return;
    if (offset === REGISTER.BUFFER) this.#registers[0] = value;
    if (offset === REGISTER.LENGTH) this.#registers[1] = Math.min(value, MOST);
    if (offset === REGISTER.RUN) this.#run(this.#registers[0]!, new Uint8Array(this.#registers[1]!));
  }

  #run(buffer: number, text: Uint8Array): void {
    // False where the driver has not mapped it, or the function may not master the bus.
    if (!this.dmaRead(buffer, text) || !this.dmaWrite(buffer, text.map(capital))) return;
    this.#registers[2]! += 1;
    this.raise();
  }

  protected override reset(): void { this.#registers.fill(0); }

  // With --watch, new code begins with what the old one saved.
  stop(): void { /* All is done at once. */ }
  start(): void { /* As above. */ }
  save(): Uint8Array { return new Uint8Array(this.#registers.slice().buffer); }
  load(bytes: Uint8Array): boolean {
    if (bytes.length !== this.stateLimit) return false;
    this.#registers = new Uint32Array(bytes.slice().buffer);
    return true;
  }
}

export function createDevice(host: Host, address: string): PciFunction {
  return new Capitals(host, { address, bars: BARS, config: buildConfig({ vendor: 0x1234, device: 0xca95, class: 0x12_0000, msi: 1, bars: BARS }) });
}
