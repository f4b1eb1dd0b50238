/**
 * The kernel's own driver of containers: it makes devices of their objects, and hears when objects come and go. Kernel: dprc-driver.c;
 * catalogue: vfio 5.3 to 5.5.
 */
import { Driver, DriverData, type Sleeps } from '@vsim/vfio-core';
import { setUpDprc, type Dprc } from './dprc.ts';
import type { FslMcBus } from './fslmc-bus.ts';
import type { FslMcDevice } from './fslmc-device.ts';
import type { FslMcIrq } from './irq-pool.ts';

/** OBJ_ADDED, REMOVED, CONTAINER_DESTROYED, OBJ_DESTROYED, OBJ_CREATED. */
const EVENTS = 0x73;
/** Interrupts that the kernel keeps for a container of its own. */
const KERNEL_IRQS = 256;

interface Bound {
  readonly dprc: Dprc;
  irq: FslMcIrq | undefined;
  listening: boolean;
  /** The interrupt's thread runs; and another interrupt came meanwhile. */
  handling: boolean;
  again: boolean;
}

export class DprcDriver extends Driver<FslMcDevice> {
  override readonly name: string = 'fsl_mc_dprc';
  readonly #bus: FslMcBus;
  readonly #bound = new DriverData<FslMcDevice, Bound>();

  constructor(bus: FslMcBus) {
    super();
    this.#bus = bus;
  }

  /** By vendor and type; the root is not plugged by anyone. */
  override match(device: FslMcDevice): boolean {
    if (device.driverOverride !== undefined) return true;
    return device.isDprc && device.descriptor.vendor === 0x1957 && (device.plugged || device.parent === undefined);
  }

  override *probe(device: FslMcDevice): Sleeps<number> {
    const error = setUpDprc(this.#bus, device);
    const { dprc } = device;
    if (error < 0 || dprc === undefined) return error;
    const scanned = yield* dprc.scan();
    if (scanned < 0) {
      yield* dprc.removeChildren();
      dprc.cleanUp();
      return scanned;
    }
    this.#bound.set(device, { dprc, irq: undefined, listening: false, handling: false, again: false });
    this.#setUpIrq(device);
    this.listen(device, true);
    return 0;
  }

  override *remove(device: FslMcDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    this.listen(device, false);
    bound.irq?.irq.setHandler(undefined);
    if (bound.irq !== undefined) bound.dprc.irqs?.give([bound.irq]);
    yield* bound.dprc.removeChildren();
    bound.dprc.cleanUp();
    this.#bound.clear(device);
  }

  /** Whether it rescans when the container says that something has changed. */
  listening(device: FslMcDevice | undefined): boolean {
    return device !== undefined && this.#bound.get(device)?.listening === true;
  }

  listen(device: FslMcDevice, on: boolean): void {
    const bound = this.#bound.get(device);
    if (bound?.irq === undefined) return;
    bound.listening = on;
    bound.dprc.io.setIrqEnable(bound.dprc.handle, 0, on);
  }

  #setUpIrq(device: FslMcDevice): void {
    const bound = this.#bound.get(device);
    const pool = bound?.dprc.irqs;
    if (bound === undefined || pool === undefined || pool.populate(KERNEL_IRQS) < 0) return;
    const taken = pool.take(1);
    const [irq] = typeof taken === 'number' ? [] : taken;
    if (irq === undefined) return;
    bound.irq = irq;
    const { io, handle } = bound.dprc;
    io.setIrqEnable(handle, 0, false);
    irq.irq.setHandler(() => {
      bound.again = true;
      if (bound.handling) return;
      bound.handling = true;
      device.host.scheduler.spawn(`irq/${irq.irq.number}-${device.name}`, this.#handle(bound));
    });
    io.setIrq(handle, undefined, 0, irq.irq.message.address, irq.irq.message.data);
    io.setIrqMask(handle, 0, EVENTS);
  }

  /** One thread an interrupt, whatever comes while it sleeps. */
  *#handle(bound: Bound): Sleeps<void> {
    while (bound.again) {
      bound.again = false;
      yield* this.#changed(bound.dprc);
    }
    bound.handling = false;
  }

  /** dprc_irq0_handler_thread(). */
  *#changed(dprc: Dprc): Sleeps<void> {
    const status = dprc.io.irqStatus(dprc.handle, 0);
    if (status <= 0) return;
    dprc.io.clearIrqStatus(dprc.handle, 0, status);
    if ((status & EVENTS) !== 0) yield* dprc.scan();
  }
}
