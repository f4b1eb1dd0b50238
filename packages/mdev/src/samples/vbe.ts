/** The Bochs display interface (VBE): eleven registers of 16 bits, and the framebuffer that they describe. */
import { BYTES_PER_PIXEL } from './gfx-plane.ts';

/**
 * Numbers of the registers of the Bochs display interface, each of 16 bits; its place in the register page is 0x500 and twice the number.
 */
export const VBE = { ID: 0, XRES: 1, YRES: 2, BPP: 3, ENABLE: 4, BANK: 5, VIRT_WIDTH: 6, VIRT_HEIGHT: 7, X_OFFSET: 8, Y_OFFSET: 9, VIDEO_MEMORY_64K: 10 } as const;
export const VBE_REGISTERS = 11;
const ID5 = 0xb0c5;
const ENABLED = 1;
const SMALLEST = 64;

/** A framebuffer: where it is in the card's memory, and how it looks. All but width and height in bytes. */
export interface VbeMode {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly offset: number;
  readonly bytes: number;
}

export class Vbe {
  readonly #registers = new Uint16Array(VBE_REGISTERS);
  readonly #memory: number;

  /** `memory`: of the card, in bytes. */
  constructor(memory: number) {
    this.#memory = memory;
    this.reset();
  }

  reset(): void {
    this.#registers.fill(0);
    this.#registers[VBE.ID] = ID5;
    this.#registers[VBE.VIDEO_MEMORY_64K] = this.#memory / 0x1_0000;
  }

  read(index: number): number {
    return this.#registers[index] ?? 0;
  }

  write(index: number, value: number): void {
    this.#registers[index] = value;
  }

  /** What is shown; undefined while the display is off, or the registers make no sense. */
  get mode(): VbeMode | undefined {
    const registers = this.#registers;
    if ((registers[VBE.ENABLE]! & ENABLED) === 0 || registers[VBE.BPP] !== 8 * BYTES_PER_PIXEL) return undefined;
    const [width, height] = [registers[VBE.XRES]!, registers[VBE.YRES]!];
    const stride = Math.max(width, registers[VBE.VIRT_WIDTH]!) * BYTES_PER_PIXEL;
    const offset = registers[VBE.X_OFFSET]! * BYTES_PER_PIXEL + registers[VBE.Y_OFFSET]! * stride;
    const bytes = stride * height;
    if (width < SMALLEST || height < SMALLEST || offset + bytes > this.#memory) return undefined;
    return { width, height, stride, offset, bytes };
  }
}
