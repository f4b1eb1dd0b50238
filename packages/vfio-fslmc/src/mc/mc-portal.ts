import { get, type MmioDevice, type Scheduler } from '@vsim/vfio-core';
import { COMMAND_SIZE, mc_header, MC_STATUS_READY, PARAMS } from './command.ts';
import type { McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';

/** What a portal occupies, in bytes. */
export const PORTAL_SIZE = 0x1_0000;

/**
 * A command portal of the MC: parameters are written first, and the store that reaches the last byte of the header submits. A store of 8
 * bytes comes as two halves, the low one first.
 */
export class McPortal implements MmioDevice {
  /** Its number: it lies 64 KiB times that behind the MC's base. */
  readonly id: number;
  /** Whose commands come through it: that of a dpmcp goes with it into another container. */
  container: McContainer;
  /** Sessions: what each token, 16 bits, stands for. */
  readonly open: Map<number, McObject> = new Map<number, McObject>();
  /** The 64 bytes that it holds: a command, or the answer in its place. */
  readonly command: Uint8Array = new Uint8Array(COMMAND_SIZE);
  readonly #view = new DataView(this.command.buffer);
  /** What it stands for is gone: it answers nobody. */
  gone = false;
  /** Takes it out of the address space. @internal */
  unmap: () => void = () => undefined;
  readonly #scheduler: Scheduler;
  readonly #submit: (portal: McPortal) => void;
  #late: { readonly at: number; readonly answer: () => void } | undefined;

  /**
   * Made when a container or a dpmcp is placed.
   *
   * @param id its number, in [0, 1024)
   * @param container whose commands come through it
   * @param submit hears that a command is complete
   */
  constructor(id: number, container: McContainer, scheduler: Scheduler, submit: (portal: McPortal) => void) {
    this.id = id;
    this.container = container;
    this.#scheduler = scheduler;
    this.#submit = submit;
  }

  /** Answers when somebody looks in `ns` or later, unless another command comes before that. @param ns from now */
  answerLater(ns: number, answer: () => void): void {
    this.#late = { at: this.#scheduler.now + ns, answer };
  }

  /** Whether a command waits that nobody will answer. */
  get stuck(): boolean {
    return get(this.command, mc_header.status) === MC_STATUS_READY && this.#late === undefined;
  }

  /**
   * What the portal holds; an answer that is due is given now.
   *
   * @param offset bytes from its start; 0 is read from 64 on
   * @param width 1, 2 or 4 bytes
   */
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

  /**
   * Stores into the portal; the store that reaches byte 7 submits.
   *
   * @param offset bytes from its start; ignored from 64 on
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width
   */
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
