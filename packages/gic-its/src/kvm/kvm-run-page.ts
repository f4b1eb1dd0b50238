/** struct kvm_run, where user space has it mapped. Fields are given as uapi.ts has them: offset and type. */
import { get, set, type Memory } from '@vsim/vfio-core';

export class KvmRunPage {
  readonly #memory: Memory;
  readonly #base: number;

  /** @param base its physical address */
  constructor(memory: Memory, base: number) {
    this.#memory = memory;
    this.#base = base;
  }

  get([offset, type]: readonly [number, 'u8' | 'u16' | 'u32']): number {
    return get(this.#bytes(offset, type), [0, type]);
  }

  get64([offset, type]: readonly [number, 'u64']): bigint {
    return get(this.#bytes(offset, type), [0, type]);
  }

  set([offset, type]: readonly [number, 'u8' | 'u16' | 'u32' | 'u64'], value: number | bigint): void {
    const bytes = new Uint8Array(WIDTH[type]);
    set(bytes, type === 'u64' ? [0, 'u64'] : [0, type], value);
    this.#memory.writeBytes(this.#base + offset, bytes);
  }

  #bytes(offset: number, type: keyof typeof WIDTH): Uint8Array {
    const bytes = new Uint8Array(WIDTH[type]);
    this.#memory.readBytes(this.#base + offset, bytes);
    return bytes;
  }
}

const WIDTH = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;
