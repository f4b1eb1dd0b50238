/** One submission queue entry. Reference: NVM Express Base 1.4, figures 104 and 105. */
import { NVME_SQ_ENTRY } from './registers.ts';

/** The command at work; its buffer is filled anew for each. */
export class Command {
  /** The entry as the driver wrote it. */
  readonly bytes: Uint8Array = new Uint8Array(NVME_SQ_ENTRY);
  readonly #view = new DataView(this.bytes.buffer);

  /** Which command, 8 bits. */
  get opcode(): number {
    return this.bytes[0]!;
  }

  /** Whether it is one of two fused ones: 0 is not. */
  get fuse(): number {
    return this.bytes[1]! & 3;
  }

  /** How its data are pointed to: 0 is PRPs, 1 and 2 an SGL. */
  get psdt(): number {
    return this.bytes[1]! >> 6;
  }

  /** Command Identifier, 16 bits. */
  get id(): number {
    return this.#view.getUint16(2, true);
  }

  /** Namespace Identifier, 32 bits. */
  get namespace(): number {
    return this.#view.getUint32(4, true);
  }

  /** Dword n, from 0 to 15: PRP 1 is 6 and 7, PRP 2 is 8 and 9. @param n which */
  dword(n: number): number {
    return this.#view.getUint32(4 * n, true);
  }
}
