import { Driver, DriverData, EINVAL, eventKind, type EventKind, type Point, type Sleeps } from '@vsim/vfio-core';
import { setUpDprc, type Dprc } from './dprc.ts';
import type { FslMcBus } from './fslmc-bus.ts';
import type { FslMcDevice } from './fslmc-device.ts';
import { CONTAINER_SET_UP } from './fslmc-reasons.ts';
import type { FslMcIrq } from './irq-pool.ts';

/** OBJ_ADDED, REMOVED, CONTAINER_DESTROYED, OBJ_DESTROYED, OBJ_CREATED. */
const EVENTS = 0x73;

/** The thread of a container's interrupt, before it asks what has happened. */
export const IRQ_THREAD: Point = { point: 'fsl-mc/irq-thread' };

/** The MC refused the message of a container's interrupt: objects that come and go are not noticed. */
export const IRQ_NOT_TOLD: EventKind<{ readonly dprc: string; readonly error: number }> = eventKind(
  'fsl-mc/irq-not-told',
  'warn',
  ({ dprc, error }) => `${dprc}: the MC does not take its message: error ${error}`,
);

interface Bound {
  readonly dprc: Dprc;
  readonly irq: FslMcIrq;
  /** The interrupt's thread runs; and another interrupt came meanwhile. */
  handling: boolean;
  again: boolean;
}

/** The kernel's own driver of containers: it makes devices of their objects, and hears when objects come and go. Kernel: dprc-driver.c. */
export class DprcDriver extends Driver<FslMcDevice> {
  /** As `driver_override` and the folder below /sys/bus/fsl-mc/drivers have it. */
  override readonly name: string = 'fsl_mc_dprc';
  readonly #bus: FslMcBus;
  readonly #bound = new DriverData<FslMcDevice, Bound>();

  /** @param bus whose containers it takes */
  constructor(bus: FslMcBus) {
    super();
    this.#bus = bus;
  }

  /** By vendor (0x1957) and type; the root is not plugged by anyone. With a driver_override, which the bus has looked at, any. */
  override match(device: FslMcDevice): boolean {
    if (device.driverOverride !== undefined) return true;
    return device.isDprc && device.descriptor.vendor === 0x1957 && (device.plugged || device.parent === undefined);
  }

  /**
   * dprc_probe(): sets the container up, scans it, takes its first interrupt.
   *
   * @returns 0; -EINVAL for what is no container, is set up, or has no interrupt; -EBUSY where its portal is taken; -ENOTSUPP for an MC
   * before version 6; what the MC answers. Everything is undone then
   */
  override *probe(device: FslMcDevice): Sleeps<number> {
    const error = setUpDprc(this.#bus, device);
    const { dprc } = device;
    if (error < 0 || dprc === undefined) return error;
    const started = yield* this.#start(device, dprc);
    if (started === 0) return 0;
    yield* dprc.removeChildren();
    dprc.cleanUp();
    return started;
  }

  /** dprc_remove(): the container no longer listens, and its children go before it. */
  override *remove(device: FslMcDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    bound.dprc.listen(false);
    this.#freeIrq(bound);
    yield* bound.dprc.removeChildren();
    bound.dprc.cleanUp();
    this.#bound.clear(device);
  }

  /** The scan, which fills the pool of interrupts, then the interrupt. @returns 0 or a negative errno */
  *#start(device: FslMcDevice, dprc: Dprc): Sleeps<number> {
    const scanned = yield* dprc.scan({ allocatesIrqs: true });
    return scanned < 0 ? scanned : this.#setUpIrq(device, dprc);
  }

  /** dprc_setup_irq(). A container without interrupts is none for the kernel. @returns 0 or a negative errno */
  #setUpIrq(device: FslMcDevice, dprc: Dprc): number {
    const taken = dprc.irqs?.take(1) ?? -EINVAL;
    const [irq] = typeof taken === 'number' ? [] : taken;
    if (irq === undefined) return device.host.refusals.refuse(CONTAINER_SET_UP, { device: device.name, why: 'it has no interrupt' });
    const bound: Bound = { dprc, irq, handling: false, again: false };
    const quiet = dprc.listen(false);
    if (quiet === 0) {
      irq.irq.setHandler(() => {
        bound.again = true;
        if (bound.handling) return;
        bound.handling = true;
        device.host.scheduler.spawn(`irq/${irq.irq.number}-${device.name}`, this.#handle(bound));
      });
      const told = dprc.io.setIrq(dprc.handle, undefined, 0, irq.irq);
      if (told < 0) device.host.trace.emit(IRQ_NOT_TOLD, { dprc: device.name, error: told });
    }
    const listens = quiet < 0 ? quiet : dprc.listen(true);
    if (listens < 0) this.#freeIrq(bound);
    else this.#bound.set(device, bound);
    return listens;
  }

  #freeIrq({ dprc, irq }: Bound): void {
    irq.irq.setHandler(undefined);
    dprc.irqs?.give([irq]);
  }

  /** One thread an interrupt, whatever comes while it sleeps. */
  *#handle(bound: Bound): Sleeps<void> {
    while (bound.again) {
      yield IRQ_THREAD;
      bound.again = false;
      yield* bound.dprc.interrupted(EVENTS);
    }
    bound.handling = false;
  }
}
