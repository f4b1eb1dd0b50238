/**
 * A command portal of the MC: parameters are written first, and the store that reaches the last byte of the header submits. A store of 8
 * bytes comes as two halves, the low one first.
 */
import { get, type MmioDevice, type Scheduler } from '@vsim/vfio-core';
import { COMMAND_SIZE, mc_header, MC_STATUS_READY, PARAMS } from './command.ts';
import type { McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';

/** What a portal occupies, in bytes. */
export const PORTAL_SIZE = 0x1_0000;

export class McPortal implements MmioDevice {
  readonly id: number;
  /** Whose commands come through it: that of a dpmcp goes with it into another container. */
  container: McContainer;
  /** What is open, by token. */
  readonly open: Map<number, McObject> = new Map<number, McObject>();
  readonly command: Uint8Array = new Uint8Array(COMMAND_SIZE);
  readonly #view = new DataView(this.command.buffer);
  /** What it stands for is gone: it answers nobody. */
  gone = false;
  /** @internal Takes it out of the address space. */
  unmap: () => void = () => undefined;
  readonly #scheduler: Scheduler;
  readonly #submit: (portal: McPortal) => void;
  #late: { readonly at: number; readonly answer: () => void } | undefined;

  constructor(id: number, container: McContainer, scheduler: Scheduler, submit: (portal: McPortal) => void) {
    this.id = id;
    this.container = container;
    this.#scheduler = scheduler;
    this.#submit = submit;
  }

  /** Answers when somebody looks in `ns` or later, unless another command comes before that. */
  answerLater(ns: number, answer: () => void): void {
    this.#late = { at: this.#scheduler.now + ns, answer };
  }

  /** Whether a command waits that nobody will answer. */
  get stuck(): boolean {
    return get(this.command, mc_header.status) === MC_STATUS_READY && this.#late === undefined;
  }

  read(offset: number, width: number): number {
    const late = this.#late;
    if (late !== undefined && late.at <= this.#scheduler.now) {
      this.#late = undefined;
      late.answer();
    }
    if (offset + width > COMMAND_SIZE) return 0;
    if (width === 4) return this.#view.getUint32(offset, true);
    return width === 2 ? this.#view.getUint16(offset, true) : this.command[offset]!;
  }

  write(offset: number, width: number, value: number): void {
    if (offset + width > COMMAND_SIZE) return;
    if (width === 4) this.#view.setUint32(offset, value, true);
    else if (width === 2) this.#view.setUint16(offset, value, true);
    else this.command[offset] = value;
    if (offset >= PARAMS || offset + width < PARAMS) return;
    this.#late = undefined;
    this.#submit(this);
  }
}
