import type { Host } from '@vsim/vfio-core';
import { PciAddress } from './address.ts';
import { findCapability, read16, write16, write32 } from './capabilities.ts';
import { buildConfig } from './config-builder.ts';
import { PciFunction, type Absence, type PciFunctionInit } from './pci-function.ts';
import {
  PCI_CAP_ID_EXP,
  PCI_EXP_FLAGS,
  PCI_EXP_FLAGS_SLOT,
  PCI_EXP_LNKCAP,
  PCI_EXP_LNKCAP_DLLLARC,
  PCI_EXP_LNKCAP_SDERC,
  PCI_EXP_LNKSTA,
  PCI_EXP_LNKSTA_DLLLA,
  PCI_EXP_SLTCAP,
  PCI_EXP_SLTCAP_ABP,
  PCI_EXP_SLTCAP_HPC,
  PCI_EXP_SLTCAP_HPS,
  PCI_EXP_SLTCAP_PCP,
  PCI_EXP_SLTCAP_PSN_SHIFT,
  PCI_EXP_SLTCTL,
  PCI_EXP_SLTCTL_PCC,
  PCI_EXP_SLTSTA,
  PCI_EXP_SLTSTA_ABP,
  PCI_EXP_SLTSTA_DLLSC,
  PCI_EXP_SLTSTA_PDC,
  PCI_EXP_SLTSTA_PDS,
  PCI_EXP_TYPE_DOWNSTREAM,
  PCI_EXP_TYPE_ROOT_PORT,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_BRIDGE,
  PCI_PRIMARY_BUS,
  PCI_SECONDARY_BUS,
  PCI_SUBORDINATE_BUS,
} from './registers.ts';

/** The slot of a port, as the Slot Capabilities register has it. */
export interface SlotInit {
  /** Physical slot number, 1 to 8191: the name of the slot in sysfs. */
  readonly number: number;
  /** It has an attention button: cards are powered on and off by pressing it. @default false */
  readonly button?: boolean | undefined;
  /** Cards may be pulled without warning: a link that goes is no error then. @default false */
  readonly surprise?: boolean | undefined;
}

/** A root port, or a downstream port of a switch. */
export interface PciPortInit {
  /** `domain:bus:device.function`, as `0000:00:1c.0`. */
  readonly address: string;
  /** Device/Port Type of its PCI Express capability. */
  readonly kind: 'root' | 'downstream';
  /** Number of the bus below, 1 to 255. */
  readonly secondary: number;
  /** The highest bus number below it, from `secondary` to 255. @default `secondary` */
  readonly subordinate?: number | undefined;
  /** Left out: what is below cannot be unplugged. */
  readonly slot?: SlotInit | undefined;
  /** Access Control Services. @default all of them on: the functions below are apart from others */
  readonly acs?: { readonly capability: number; readonly control: number } | undefined;
}

/** What a port tells the kernel by its hot-plug interrupt. */
export type HotplugEvent = 'button' | 'presence' | 'link';

/** Source validation, translation blocking, request and completion redirect, upstream forwarding. */
const ACS_ALL = 0x1d;

/** Speed 2.5 GT/s, width x1. */
const LINK = 0x11;

/**
 * A root or downstream port with a slot, as hardware: presence, link, power, attention button, and what becomes of the card in it.
 *
 * Reference: PCI Express Base 6.0, 6.7 (hot-plug) and 7.5.3. Modelled: presence detect, data link layer state, the power controller, the
 * attention button, surprise down errors. Not modelled: the interlock, the latch, indicators, command completion, link training time.
 */
export class PciPort extends PciFunction {
  /** Device/Port Type of its PCI Express capability. */
  readonly kind: 'root' | 'downstream';
  /** Its slot; undefined: what is below cannot be unplugged. */
  readonly slot: SlotInit | undefined;
  /** Who takes the hot-plug interrupt; set by the kernel's service. */
  hotplug: ((event: HotplugEvent) => void) | undefined = undefined;
  /** The functions behind the port; set by the bus. */
  behind: () => readonly PciFunction[] = () => [];
  readonly #at: number;
  #present = false;
  #broken = false;

  /** @throws RangeError for a bus number or a slot number that there cannot be */
  constructor(host: Host, init: PciPortInit) {
    super(host, portInit(init));
    this.kind = init.kind;
    this.slot = init.slot;
    this.#at = findCapability(this.config.bytes, PCI_CAP_ID_EXP);
    if (init.slot === undefined) return;
    write16(this.config.writable, this.#at + PCI_EXP_SLTCTL, 0x1fff);
    write16(this.config.clearable, this.#at + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
  }

  /** A card is in the slot. */
  get present(): boolean {
    return this.#present;
  }

  /** The power controller is on. */
  get powered(): boolean {
    return (read16(this.config.bytes, this.#at + PCI_EXP_SLTCTL) & PCI_EXP_SLTCTL_PCC) === 0;
  }

  /** The data link is up. */
  get linkActive(): boolean {
    return (read16(this.config.bytes, this.#at + PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA) !== 0;
  }

  // What people do to the machine.

  /** Presses the attention button. @throws TypeError if there is none */
  pressAttentionButton(): void {
    if (this.slot?.button !== true) throw new TypeError(`"pressAttentionButton" expected a slot with an attention button, got ${this.name}`);
    this.#tell(PCI_EXP_SLTSTA_ABP, 'button');
  }

  /** The card is pulled, powered or not, with whatever it was doing. @throws RangeError if the slot is empty */
  surpriseRemove(): void {
    this.#needsCard();
    this.#present = false;
    this.#broken = false;
    for (const fn of this.behind()) fn.setAbsence('removed');
    this.#update();
    this.#tell(PCI_EXP_SLTSTA_PDC, 'presence');
  }

  /** The link fails with the card in place. @throws RangeError if the slot is empty */
  linkDown(): void {
    this.#needsCard();
    this.#broken = true;
    this.#update();
  }

  /** It works again: the card is as after a reset. @throws RangeError if the slot is empty */
  linkUp(): void {
    this.#needsCard();
    this.#broken = false;
    this.#update();
  }

  /** A card is in the slot: put there before the machine starts, or now. The bus calls it. @internal */
  seat(now: boolean): void {
    this.#present = true;
    if (now && !this.powered) for (const fn of this.behind()) fn.setAbsence('no power');
    this.#update(now);
    if (now) this.#tell(PCI_EXP_SLTSTA_PDC, 'presence');
  }

  /**
   * As of any function; a write of Slot Control switches the card's power.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @param value unsigned
   */
  override configWrite(offset: number, width: number, value: number): void {
    super.configWrite(offset, width, value);
    const control = this.#at + PCI_EXP_SLTCTL;
    if (this.slot !== undefined && offset < control + 2 && offset + width > control) this.#update();
  }

  #needsCard(): void {
    if (!this.#present) throw new RangeError(`"port" expected a card in the slot of ${this.name}, got none`);
  }

  /** Link and presence from what is there; functions behind follow. */
  #update(tells = true): void {
    const { bytes } = this.config;
    const up = this.#present && this.powered && !this.#broken;
    const before = this.linkActive;
    const status = read16(bytes, this.#at + PCI_EXP_SLTSTA);
    write16(bytes, this.#at + PCI_EXP_SLTSTA, this.#present ? status | PCI_EXP_SLTSTA_PDS : status & ~PCI_EXP_SLTSTA_PDS);
    const absence: Absence | undefined = up ? undefined : this.powered ? 'link down' : 'no power';
    if (this.#present) for (const fn of this.behind()) fn.setAbsence(absence);
    if (up === before) return;
    write16(bytes, this.#at + PCI_EXP_LNKSTA, up ? LINK | PCI_EXP_LNKSTA_DLLLA : LINK);
    // With a slot made for it, or with the power off, a link that goes is no error (7.5.3.6, hot-plug surprise).
    if (!up && this.powered && this.slot?.surprise !== true) this.error('surprise-down');
    if (tells) this.#tell(PCI_EXP_SLTSTA_DLLSC, 'link');
  }

  #tell(bit: number, event: HotplugEvent): void {
    const at = this.#at + PCI_EXP_SLTSTA;
    write16(this.config.bytes, at, read16(this.config.bytes, at) | bit);
    if (this.slot !== undefined) this.hotplug?.(event);
  }
}

/** The port's configuration space: a bridge with PM, PCI Express, AER and ACS. */
function portInit({ address, kind, secondary, subordinate, slot, acs }: PciPortInit): PciFunctionInit {
  if (!(Number.isInteger(secondary) && secondary >= 1 && secondary <= 255)) throw new RangeError(`"secondary" expected a bus number in [1, 255], got ${secondary}`);
  if (slot !== undefined && !(Number.isInteger(slot.number) && slot.number >= 1 && slot.number <= 8191)) {
    throw new RangeError(`"slot.number" expected an integer in [1, 8191], got ${slot.number}`);
  }
  const config = buildConfig({
    vendor: 0x1b36,
    device: kind === 'root' ? 0x000c : 0x000e,
    class: 0x06_0400,
    express: true,
    aer: true,
    acs: acs ?? { capability: ACS_ALL, control: ACS_ALL },
  });
  config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
  config[PCI_PRIMARY_BUS] = new PciAddress(address).bus;
  config[PCI_SECONDARY_BUS] = secondary;
  config[PCI_SUBORDINATE_BUS] = subordinate ?? secondary;
  const at = findCapability(config, PCI_CAP_ID_EXP);
  const type = kind === 'root' ? PCI_EXP_TYPE_ROOT_PORT : PCI_EXP_TYPE_DOWNSTREAM;
  write16(config, at + PCI_EXP_FLAGS, 2 | (type << 4) | (slot === undefined ? 0 : PCI_EXP_FLAGS_SLOT));
  write32(config, at + PCI_EXP_LNKCAP, LINK | PCI_EXP_LNKCAP_DLLLARC | PCI_EXP_LNKCAP_SDERC);
  write16(config, at + PCI_EXP_LNKSTA, LINK);
  if (slot !== undefined) {
    const button = slot.button === true ? PCI_EXP_SLTCAP_ABP : 0;
    const surprise = slot.surprise === true ? PCI_EXP_SLTCAP_HPS : 0;
    write32(config, at + PCI_EXP_SLTCAP, PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_HPC | button | surprise | (slot.number << PCI_EXP_SLTCAP_PSN_SHIFT));
  }
  return { address, config };
}
