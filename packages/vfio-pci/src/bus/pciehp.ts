import { ENODEV, WaitQueue, constant, type Sleeps } from '@vsim/vfio-core';
import { formatAddress } from '../pci/address.ts';
import { read16 } from '../pci/capabilities.ts';
import type { HotplugEvent, PciPort, SlotInit } from '../pci/pci-port.ts';
import {
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_SERR,
  PCI_EXP_SLTCTL,
  PCI_EXP_SLTCTL_PCC,
  PCI_EXP_SLTSTA,
  PCI_SECONDARY_BUS,
} from '../pci/registers.ts';
import { SLOT_STATE } from './bus-reasons.ts';
import { badValue, parseUnsigned } from './parse.ts';
import type { PciDevice } from './pci-device.ts';
import { resetBelow } from './reset.ts';

/** How long the button can be pressed again to call it off: 5 s. */
const BLINK = 5e9;

/** Where a slot stands: off, on, on its way, or waiting for the button to be pressed again. Kernel: the states of struct controller. */
export type SlotState = 'off' | 'blinking-on' | 'power-on' | 'power-off' | 'blinking-off' | 'on';

/** What waits for the slot's thread. */
type Work = HotplugEvent | 'enable' | 'disable';

/**
 * The kernel's native hot plug: what it does of a slot's interrupts, and the slot in sysfs. Kernel: drivers/pci/hotplug/pciehp_ctrl.c,
 * pciehp_hpc.c, pciehp_pci.c.
 *
 * Events are handled by one kernel thread of the slot, one after the other: while an orderly removal waits for a user of a device, whatever
 * happens in the slot waits with it. Not modelled: indicators, latch, interlock, the second that powering off takes.
 */
export class HotplugController {
  /** The hardware of the port that has the slot. */
  readonly port: PciPort;
  readonly #device: PciDevice;
  readonly #slot: SlotInit;
  /** The folder below /sys/bus/pci/slots. */
  readonly sysfs: string;
  readonly #pending: Work[] = [];
  readonly #idle: WaitQueue;
  readonly #blink: WaitQueue;
  #state: SlotState;
  #running = false;
  /** The outcome of the last request, for whoever wrote to `power`. */
  #result = -ENODEV;

  /** Made by PciePort. @internal */
  constructor(device: PciDevice, port: PciPort, slot: SlotInit) {
    this.port = port;
    this.#device = device;
    this.#slot = slot;
    this.sysfs = freeName(device, `/sys/bus/pci/slots/${slot.number}`);
    this.#idle = new WaitQueue(`slot ${slot.number}`, () => (this.#running ? [`pciehp ${device.name}`] : []));
    this.#blink = new WaitQueue(`the attention button of slot ${slot.number}`);
    this.#state = port.present && port.powered ? 'on' : 'off';
    if (this.#state === 'off') this.#power(false);
    const hotplug = (event: HotplugEvent): void => this.#interrupt(event);
    port.hotplug = hotplug;
    this.#createAttributes();
  }

  /** Where the slot stands now. */
  get state(): SlotState {
    return this.#state;
  }

  /** pciehp_reset_slot(): the bus below, without the link's changes being taken for a removal. @returns 0, or -ENOTTY where the link does not come back */
  reset(): number {
    return resetBelow(this.#device);
  }

  /** The driver leaves the port. */
  stop(): void {
    this.port.hotplug = undefined;
    this.#setState('off');
    this.#device.host.files.remove(this.sysfs);
  }

  /** The interrupt: its bits are acknowledged, and the thread runs. A slot with a button does not listen to presence. */
  #interrupt(event: HotplugEvent): void {
    const at = this.#device.express + PCI_EXP_SLTSTA;
    this.port.configWrite(at, 2, this.port.configRead(at, 2));
    if (event === 'presence' && this.#slot.button === true && this.#state === 'off') return;
    this.#queue(event);
  }

  #queue(work: Work): void {
    this.#pending.push(work);
    if (this.#running) return;
    this.#running = true;
    this.#device.host.scheduler.spawn(`pciehp ${this.#device.name}`, this.#thread());
  }

  *#thread(): Sleeps<void> {
    for (let work = this.#pending.shift(); work !== undefined; work = this.#pending.shift()) {
      if (work === 'button') this.#buttonPressed();
      else if (work === 'disable') yield* this.#disable(true);
      else if (work === 'enable') yield* this.#enable();
      else yield* this.#changed();
    }
    this.#running = false;
    this.#idle.wake();
  }

  /** Five seconds to press it again, and so to call it off. */
  #buttonPressed(): void {
    if (this.#state === 'on' || this.#state === 'off') {
      const blinking = this.#state === 'on' ? 'blinking-off' : 'blinking-on';
      this.#setState(blinking);
      this.#device.host.scheduler.spawn(`pciehp button ${this.#device.name}`, this.#blinks(blinking));
    } else if (this.#state === 'blinking-off') this.#setState('on');
    else if (this.#state === 'blinking-on') this.#setState('off');
  }

  *#blinks(state: SlotState): Sleeps<void> {
    const { scheduler } = this.#device.host;
    const calledOff = yield* this.#blink.wait(scheduler, () => this.#state !== state, scheduler.now + BLINK);
    if (!calledOff) this.#queue(state === 'blinking-off' ? 'disable' : 'enable');
  }

  /** Presence or link have changed: what was there is gone, and what is there now may be another card. */
  *#changed(): Sleeps<void> {
    const gone = !this.port.present || !this.port.linkActive;
    if ((this.#state === 'on' || this.#state === 'blinking-off') && gone) yield* this.#disable(false);
    if ((this.#state === 'off' || this.#state === 'blinking-on') && this.port.present && (this.#slot.button !== true || this.port.linkActive)) yield* this.#enable();
  }

  /** pciehp_disable_slot(): every device goes; `orderly`: it is told to be quiet, and loses its power. */
  *#disable(orderly: boolean): Sleeps<void> {
    if (this.#state !== 'on' && this.#state !== 'blinking-off') return;
    this.#setState('power-off');
    const { bus } = this.#device;
    if (!orderly) for (const device of bus.below(this.#device)) device.channel = 'gone';
    yield* bus.rescanRemoveLock.lock();
    for (const device of this.#inSlot().reverse()) {
      yield* bus.stopAndRemove(device);
      const fn = device.function;
      if (orderly) fn.configWrite(PCI_COMMAND, 2, (fn.command & ~(PCI_COMMAND_MASTER | PCI_COMMAND_SERR)) | PCI_COMMAND_INTX_DISABLE);
    }
    bus.rescanRemoveLock.unlock();
    this.#power(false);
    bus.forget(this.port);
    this.#setState('off');
    this.#result = 0;
  }

  /** pciehp_enable_slot(): power, link, and the kernel looks who is there. */
  *#enable(): Sleeps<void> {
    if (this.#state !== 'off' && this.#state !== 'blinking-on') return;
    this.#setState('power-on');
    this.#result = -ENODEV;
    if (this.port.present) this.#power(true);
    if (!this.port.linkActive) {
      this.#power(false);
      this.#setState('off');
      return;
    }
    const { bus } = this.#device;
    yield* bus.rescanRemoveLock.lock();
    bus.forget(this.port);
    yield* bus.scan(this.port);
    bus.rescanRemoveLock.unlock();
    this.#setState('on');
    this.#result = 0;
  }

  /** The devices right below the port. */
  #inSlot(): PciDevice[] {
    const { bus, function: fn } = this.#device;
    const secondary = fn.config.bytes[PCI_SECONDARY_BUS];
    return bus.devices.filter(({ function: other }) => other.address.bus === secondary && other.address.domain === fn.address.domain);
  }

  /** The power controller. Its own link changes are not news. */
  #power(on: boolean): void {
    const at = this.#device.express + PCI_EXP_SLTCTL;
    const { hotplug } = this.port;
    const control = read16(this.port.config.bytes, at);
    this.port.hotplug = undefined;
    this.port.configWrite(at, 2, on ? control & ~PCI_EXP_SLTCTL_PCC : control | PCI_EXP_SLTCTL_PCC);
    this.port.hotplug = hotplug;
  }

  #setState(state: SlotState): void {
    this.#state = state;
    this.#blink.wake();
  }

  #createAttributes(): void {
    const { files } = this.#device.host;
    const { domain } = this.#device.function.address;
    const bus = this.#device.function.config.bytes[PCI_SECONDARY_BUS]!;
    files.constant(`${this.sysfs}/address`, () => `${formatAddress(domain, bus << 8).slice(0, -2)}\n`);
    files.constant(`${this.sysfs}/adapter`, () => (this.port.present ? '1\n' : '0\n'));
    files.add(`${this.sysfs}/power`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(this.port.powered ? '1\n' : '0\n'),
      store: (bytes) => this.#storePower(bytes),
    });
  }

  /** pciehp_sysfs_enable_slot(), pciehp_sysfs_disable_slot(): they wait for the thread. */
  *#storePower(bytes: Uint8Array): Sleeps<number> {
    const value = parseUnsigned(bytes);
    const { host } = this.#device;
    if (value === undefined || value > 1) return badValue(host, 'power', bytes, '0 or 1');
    const told = { slot: this.sysfs, state: this.#state, wanted: `${value}` };
    const from: readonly SlotState[] = value === 1 ? ['off', 'blinking-on'] : ['on', 'blinking-off'];
    if (!from.includes(this.#state)) return host.refusals.refuse(SLOT_STATE, told);
    this.#queue(value === 1 ? 'enable' : 'disable');
    yield* this.#idle.wait(host.scheduler, () => !this.#running);
    return this.#result < 0 ? host.refusals.refuse(SLOT_STATE, told, -this.#result) : bytes.length;
  }
}

/** Slots of the same number are told apart by a suffix: make_slot_name(). */
function freeName(device: PciDevice, path: string): string {
  let name = path;
  for (let n = 1; device.host.files.lookup(name) !== undefined; n += 1) name = `${path}-${n}`;
  return name;
}
