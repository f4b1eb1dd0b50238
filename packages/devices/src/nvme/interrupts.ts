/** How completions interrupt: MSI-X, MSI, or the INTx pin. Reference: NVM Express Base 1.4, 7.5. */
import type { PciFunction } from '@vsim/vfio-pci';
import type { CompletionQueue, Queues } from './queues.ts';

/** The part of a function that raises interrupts. */
export type Interrupter = Pick<PciFunction, 'msi' | 'msix' | 'messagesEnabled' | 'raise' | 'setIntx'>;

/** Vectors of a controller. @internal */
export class Interrupts {
  /** INTMS and INTMC: bit n masks vector n of MSI, bit 0 the pin. */
  mask = 0;
  /** Vectors of MSI that wait for their mask bit, or for start(). */
  pending = 0;
  readonly #function: Interrupter;
  #level = false;

  constructor(fn: Interrupter) {
    this.#function = fn;
  }

  /** How many vectors software has to choose from. */
  get vectors(): number {
    const { msix, msi } = this.#function;
    if (msix?.enabled === true) return msix.size;
    return msi?.enabled === true ? msi.vectors : 1;
  }

  /** A completion was posted. */
  posted(queue: CompletionQueue, queues: Queues): void {
    if (!queue.interrupts) return;
    if (this.#function.msix?.enabled === true) this.#function.raise(queue.vector);
    else if (this.#function.msi?.enabled === true) this.#raiseMsi(queue.vector);
    else this.updatePin(queues);
  }

  /** Masks changed, or the controller runs again: what waited and is free now is raised. */
  release(queues: Queues): void {
    if (this.#function.msix?.enabled !== true && this.#function.msi?.enabled === true) {
      const free = this.pending & ~this.mask;
      this.pending &= this.mask;
      for (let vector = 0; vector < 32; vector += 1) if ((free & (1 << vector)) !== 0) this.#function.raise(vector);
    }
    this.updatePin(queues);
  }

  /** The pin is up while a queue with interrupts has entries that were not taken. */
  updatePin(queues: Queues): void {
    const up = !this.#function.messagesEnabled && (this.mask & 1) === 0 && anyWaits(queues);
    if (up === this.#level) return;
    this.#level = up;
    this.#function.setIntx(up);
  }

  /** Nothing is masked, nothing waits, the pin is down. */
  reset(): void {
    this.mask = 0;
    this.pending = 0;
    this.#level = false;
    this.#function.setIntx(false);
  }

  #raiseMsi(vector: number): void {
    if ((this.mask & (1 << vector)) === 0) this.#function.raise(vector);
    else this.pending |= 1 << vector;
  }
}

/** Whether a queue with interrupts has entries that were not taken. Asked at each doorbell: it makes nothing. */
function anyWaits({ completions }: Queues): boolean {
  for (const queue of completions) if (queue?.interrupts === true && queue.used > 0) return true;
  return false;
}
