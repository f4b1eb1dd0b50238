import { eventKind, type EventKind, type KernelProfile } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { barFlags, barMask, barMaskHigh, barRegister } from '../pci/bars.ts';
import { capabilities, extendedCapabilities, read16, read32, write16, write32 } from '../pci/capabilities.ts';
import { capabilityLength, extendedCapabilityLength } from '../pci/capability-lengths.ts';
import {
  PCI_BASE_ADDRESS_0,
  PCI_CAPABILITY_LIST,
  PCI_CAP_ID_PM,
  PCI_CAP_LIST_NEXT,
  PCI_CFG_SPACE_SIZE,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_IO,
  PCI_COMMAND_MEMORY,
  PCI_DEVICE_ID,
  PCI_INTERRUPT_PIN,
  PCI_MSI_FLAGS,
  PCI_PM_CAP_PME_MASK,
  PCI_PM_CTRL,
  PCI_PM_CTRL_PME_ENABLE,
  PCI_PM_CTRL_PME_STATUS,
  PCI_PM_PMC,
  PCI_ROM_ADDRESS,
  PCI_ROM_ADDRESS_ENABLE,
  PCI_ROM_RESOURCE,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_STD_HEADER_SIZEOF,
  PCI_VENDOR_ID,
  PCI_VPD_ADDR,
} from '../pci/registers.ts';
import { Permissions, headerPermissions } from './config-permissions.ts';
import { capabilitySection, extendedSection, type Kind } from './config-sections.ts';
import { CONFIG_RANGE } from './vfio-pci-reasons.ts';
import { advancedFeaturesWritten, expressWritten, msiFlagsWritten, powerWritten, vpdWritten } from './config-side-effects.ts';

/** The last extended capability that 5.13 knows: 16 GT/s. */
const PCI_EXT_CAP_ID_MAX = 0x26;

/** The WARN of 5.13: an access to a capability that its tables do not have. */
export const CONFIG_TABLE_OVERRUN: EventKind<{ readonly device: string; readonly at: number }> = eventKind(
  'vfio-pci/config-table-overrun',
  'warn',
  ({ device, at }) => `${device}: no table for the extended capability at 0x${at.toString(16)}: read past the last one`,
);

/** What the configuration space needs of the device that it belongs to. */
export interface ConfigOwner {
  readonly device: PciDevice;
  /** INTx does not exist for the user. */
  readonly hidesIntx: boolean;
  /** MSI has been enabled by VFIO_DEVICE_SET_IRQS; the vectors it has then, as log2. */
  readonly msiQueueSize: number | undefined;
  /** COMMAND was written: INTX_DISABLE as the user sees it. */
  intxDisableWritten(disabled: boolean): void;
  /** The user wrote PowerState in PMCSR. @param state 0 to 3 */
  setPowerState(state: number): void;
  /** The user asked for a function level reset. */
  functionReset(): number;
}

interface Section {
  readonly start: number;
  readonly kind: Kind;
  /** Undefined: shown from hardware but for its link, never written. */
  readonly permissions: Permissions | undefined;
}

const GAP = 0;

/**
 * The configuration space that a user of VFIO sees: made when the device is opened, gone when it is closed. Kernel: vfio_pci_config.c.
 *
 * Each byte belongs to a section: the header, a capability, or a gap between them, which is hardware both ways. Accesses are cut into
 * naturally aligned pieces of 4, 2 and 1 bytes that do not leave a section.
 */
export class VirtualConfig {
  /** The virtual bytes; only those that a table calls virtual are ever shown. */
  readonly bytes: Uint8Array;
  readonly #owner: ConfigOwner;
  readonly #sections: Section[] = [];
  /** The section of each byte, by number; 0 is a gap. */
  readonly #sectionOf: Uint8Array;
  /** BARs and ROM of the hardware at open, against resets behind our back. */
  readonly #savedBars: Uint32Array;
  /** The entry at 0x100, if its id is past the last that the kernel knows. */
  #pastTable: number | undefined;
  /** The user wrote a BAR: the next read shows it as hardware would, with its size. */
  #barsDirty = false;

  constructor(owner: ConfigOwner) {
    const { bytes } = owner.device.function.config;
    this.#owner = owner;
    this.bytes = new Uint8Array(bytes.length);
    this.#sectionOf = new Uint8Array(bytes.length);
    this.#sections.push({ start: 0, kind: 'raw', permissions: undefined });
    this.#savedBars = this.#hardwareBars();
    this.#addSection(0, PCI_STD_HEADER_SIZEOF, 'header', headerPermissions());
    if (owner.hidesIntx) this.bytes[PCI_INTERRUPT_PIN] = 0;
    if (owner.device.isVirtual) this.#fillVirtual(owner.device);
    this.#addCapabilities(owner.device.host.profile);
    this.#addExtendedCapabilities();
  }

  get command(): number {
    return read16(this.bytes, PCI_COMMAND);
  }

  /** 0: the user has no INTx. */
  get interruptPin(): number {
    return this.bytes[PCI_INTERRUPT_PIN]!;
  }

  /** Bytes that are the user's alone from here on, and never reach hardware. @param at offset in bytes @param length bytes */
  makeVirtual(at: number, length: number): void {
    const all = new Permissions(length);
    all.virtual.fill(0xff);
    all.writable.fill(0xff);
    this.#addSection(at, length, 'plain', all);
  }

  /**
   * Fills `into` from `at`.
   *
   * @param at offset in bytes
   * @returns the count, or -EFAULT for a range that leaves the space: then nothing is read
   */
  read(into: Uint8Array, at: number): number {
    if (at >= this.bytes.length || at + into.length > this.bytes.length) return this.#outside(at, into.length);
    for (let done = 0; done < into.length; ) {
      const width = this.#width(at + done, into.length - done);
      const value = this.#readPiece(at + done, width);
      for (let i = 0; i < width; i += 1) into[done + i] = value >>> (8 * i);
      done += width;
    }
    return into.length;
  }

  #outside(at: number, length: number): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(CONFIG_RANGE, { device: device.name, at, length, size: this.bytes.length });
  }

  write(from: Uint8Array, at: number): number {
    if (at >= this.bytes.length || at + from.length > this.bytes.length) return this.#outside(at, from.length);
    for (let done = 0; done < from.length; ) {
      const width = this.#width(at + done, from.length - done);
      let value = 0;
      for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + from[done + i]!;
      this.#writePiece(at + done, width, value);
      done += width;
    }
    return from.length;
  }

  /** The width of the next piece. */
  #width(at: number, left: number): number {
    const section = this.#sectionOf[at];
    let room = 1;
    while ((at + room) % 4 !== 0 && this.#sectionOf[at + room] === section) room += 1;
    const length = Math.min(left, room);
    if (length >= 4 && at % 4 === 0) return 4;
    return length >= 2 && at % 2 === 0 ? 2 : 1;
  }

  #readPiece(at: number, width: number): number {
    const fn = this.#owner.device.function;
    const number = this.#sectionOf[at]!;
    if (number === GAP) return fn.configRead(at, width);
    const section = this.#sections[number]!;
    const offset = at - section.start;
    const { permissions } = section;
    if (permissions === undefined) {
      this.#lookUp(section);
      return this.#readDirect(section, at, width);
    }
    if (section.kind === 'header' && isBar(at)) this.#showBars();
    const virtual = little(permissions.virtual, offset, width);
    const hardware = virtual === mask(width) ? 0 : fn.configRead(at, width);
    return ((hardware & ~virtual) | (little(this.bytes, at, width) & virtual)) >>> 0;
  }

  /** Before 5.15 the table of extended capabilities was read where it had ended already. */
  #lookUp({ start }: Section): void {
    const { name, host } = this.#owner.device;
    if (start === this.#pastTable && !host.profile.pciCore) host.trace.emit(CONFIG_TABLE_OVERRUN, { device: name, at: start });
  }

  /** A capability without table: hardware, except for the links that were mended to hide others. */
  #readDirect(section: Section, at: number, width: number): number {
    const fn = this.#owner.device.function;
    const offset = at - section.start;
    if (at >= PCI_CFG_SPACE_SIZE) return offset < 4 ? little(this.bytes, at, width) : fn.configRead(at, width);
    const value = fn.configRead(at, width);
    if (offset === 0 && width > 1) return ((value & ~0xffff) | read16(this.bytes, at)) >>> 0;
    return offset === PCI_CAP_LIST_NEXT ? this.bytes[at]! : value;
  }

  #writePiece(at: number, width: number, value: number): void {
    const fn = this.#owner.device.function;
    const number = this.#sectionOf[at]!;
    const section = this.#sections[number]!;
    if (number === GAP || section.kind === 'raw') {
      fn.configWrite(at, width, value);
      return;
    }
    const { permissions } = section;
    if (permissions === undefined) {
      this.#lookUp(section);
      return;
    }
    const offset = at - section.start;
    const touches = (register: number, length: number): boolean => offset < register + length && offset + width > register;
    if (section.kind === 'header' && touches(PCI_COMMAND, 2)) this.#mendBars(at, value);
    const readRequest = section.kind === 'exp' ? expressReadRequest(this.bytes, section.start) : 0;

    const writable = little(permissions.writable, offset, width);
    const virtual = little(permissions.virtual, offset, width);
    if (writable === 0) return;
    const kept = little(this.bytes, at, width) & ~(writable & virtual);
    put(this.bytes, at, width, kept | (value & writable & virtual));
    const physical = (writable & ~virtual) >>> 0;
    if (physical !== 0) fn.configWrite(at, width, ((fn.configRead(at, width) & ~physical) | (value & physical)) >>> 0);

    switch (section.kind) {
      case 'header':
        if (touches(PCI_COMMAND, 2)) this.#commandWritten();
        if (isBar(at)) this.#barsDirty = true;
        return;
      case 'pm':
        if (touches(PCI_PM_CTRL, 1)) powerWritten(this.#owner, (value >>> (8 * (section.start + PCI_PM_CTRL - at))) & 3);
        return;
      case 'vpd':
        if (touches(PCI_VPD_ADDR + 1, 1)) vpdWritten(this.#owner, this.bytes, section.start);
        return;
      case 'msi':
        if (touches(PCI_MSI_FLAGS, 2)) msiFlagsWritten(this.#owner, this.bytes, section.start);
        return;
      case 'exp':
        expressWritten(this.#owner, this.bytes, section.start, readRequest);
        return;
      case 'af':
        advancedFeaturesWritten(this.#owner, this.bytes, section.start);
        return;
      case 'plain':
        return;
    }
  }

  /** Decoding as the hardware has it now is what the user sees; INTX_DISABLE is virtual and masks. */
  #commandWritten(): void {
    const decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    const shown = (this.command & ~decode) | (this.#owner.device.function.command & decode);
    write16(this.bytes, PCI_COMMAND, shown);
    this.#owner.intxDisableWritten((shown & PCI_COMMAND_INTX_DISABLE) !== 0);
  }

  /** COMMAND is about to switch decoding on: if a reset behind our back has cleared the BARs, they are put back first. */
  #mendBars(at: number, value: number): void {
    const fn = this.#owner.device.function;
    const command = at <= PCI_COMMAND ? value >>> (8 * (PCI_COMMAND - at)) : 0;
    const lost = (bit: number): boolean => (command & bit) !== 0 && (this.command & bit) !== 0 && (fn.command & bit) === 0;
    const now = this.#hardwareBars();
    if (!lost(PCI_COMMAND_MEMORY) && !lost(PCI_COMMAND_IO) && now.every((bar, i) => bar === this.#savedBars[i])) return;
    for (let i = 0; i < 6; i += 1) fn.configWrite(PCI_BASE_ADDRESS_0 + 4 * i, 4, this.#savedBars[i]!);
    fn.configWrite(PCI_ROM_ADDRESS, 4, this.#savedBars[6]!);
  }

  /** What the user wrote to BARs, as hardware would show it: bits below the size are zero, type bits fixed. */
  #showBars(): void {
    if (!this.#barsDirty) return;
    this.#barsDirty = false;
    const { bytes } = this;
    const fn = this.#owner.device.function;
    for (let index = 0; index <= PCI_ROM_RESOURCE; index += 1) {
      const at = barRegister(index);
      const bar = fn.bar(index);
      const { firmwareRomSize } = this.#owner.device;
      if (index === PCI_ROM_RESOURCE && firmwareRomSize > 0) {
        write32(bytes, at, (read32(bytes, at) & (-firmwareRomSize | PCI_ROM_ADDRESS_ENABLE)) >>> 0);
        continue;
      }
      if (bar === undefined || bar.address === 0) {
        const upper = index > 0 && fn.bar(index - 1)?.kind === 'mem64' && index < PCI_ROM_RESOURCE;
        if (!upper) write32(bytes, at, 0);
        continue;
      }
      write32(bytes, at, ((read32(bytes, at) & barMask(bar)) | barFlags(bar)) >>> 0);
      if (bar.kind === 'mem64') write32(bytes, at + 4, (read32(bytes, at + 4) & barMaskHigh(bar)) >>> 0);
    }
  }

  #hardwareBars(): Uint32Array {
    const { bytes } = this.#owner.device.function.config;
    const out = new Uint32Array(7);
    for (let i = 0; i < 6; i += 1) out[i] = read32(bytes, PCI_BASE_ADDRESS_0 + 4 * i);
    out[6] = read32(bytes, PCI_ROM_ADDRESS);
    return out;
  }

  /** What a VF's configuration space does not have: its ids, and memory decoding, which is the PF's to enable. */
  #fillVirtual(device: PciDevice): void {
    write16(this.bytes, PCI_VENDOR_ID, device.vendor);
    write16(this.bytes, PCI_DEVICE_ID, device.deviceId);
    write16(this.bytes, PCI_COMMAND, this.command | PCI_COMMAND_MEMORY);
    this.#barsDirty = true;
  }

  /** The list of the first 256 bytes, with the links past what VFIO does not know. */
  #addCapabilities(profile: KernelProfile): void {
    const hardware = this.#owner.device.function.config.bytes;
    let link = PCI_CAPABILITY_LIST;
    let shown = 0;
    for (const { id, at, next } of capabilities(hardware)) {
      const length = capabilityLength(hardware, id, at, profile.pcieCapabilityV2);
      if (length === 0) {
        this.bytes[link] = next;
        continue;
      }
      shown += 1;
      link = at + PCI_CAP_LIST_NEXT;
      const { kind, permissions } = capabilitySection(hardware, id, at, length, profile);
      this.#addSection(at, length, kind, permissions);
      if (id === PCI_CAP_ID_PM && profile.virtualPme) this.#hidePme(at);
    }
    if (shown === 0) this.bytes[PCI_STATUS] = this.bytes[PCI_STATUS]! & ~PCI_STATUS_CAP_LIST;
  }

  #hidePme(at: number): void {
    write16(this.bytes, at + PCI_PM_PMC, read16(this.bytes, at + PCI_PM_PMC) & ~PCI_PM_CAP_PME_MASK);
    const control = read16(this.bytes, at + PCI_PM_CTRL);
    write16(this.bytes, at + PCI_PM_CTRL, control & ~(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
  }

  /** The list from 0x100 on. A hidden first entry stays as an anchor without id: the list begins there. */
  #addExtendedCapabilities(): void {
    const hardware = this.#owner.device.function.config.bytes;
    let previous = 0;
    let shown = 0;
    for (const { id, at, next } of extendedCapabilities(hardware)) {
      const length = extendedCapabilityLength(hardware, id, at);
      if (length === 0 && previous !== 0) {
        write32(this.bytes, previous, ((read32(this.bytes, previous) & 0x000f_ffff) | (next << 20)) >>> 0);
        continue;
      }
      const { kind, permissions } = extendedSection(id, length);
      this.#addSection(at, length === 0 ? 4 : length, kind, permissions);
      if (length === 0 && id > PCI_EXT_CAP_ID_MAX) this.#pastTable = at;
      if (length === 0) write32(this.bytes, at, (read32(this.bytes, at) & 0xfff0_0000) >>> 0);
      else shown += 1;
      previous = at;
    }
    if (shown === 0 && this.bytes.length > PCI_CFG_SPACE_SIZE) write32(this.bytes, PCI_CFG_SPACE_SIZE, 0);
  }

  /** Where sections overlap, the later one wins. */
  #addSection(start: number, length: number, kind: Kind, permissions: Permissions | undefined): void {
    const end = Math.min(start + length, this.bytes.length);
    const number = this.#sections.push({ start, kind, permissions }) - 1;
    this.#sectionOf.fill(number, start, end);
    this.bytes.set(this.#owner.device.function.config.bytes.subarray(start, end), start);
  }
}

/** Max_Read_Request_Size as the user sees it. */
function expressReadRequest(bytes: Uint8Array, at: number): number {
  return (read16(bytes, at + 8) >> 12) & 7;
}

function isBar(at: number): boolean {
  return (at >= PCI_BASE_ADDRESS_0 && at < PCI_BASE_ADDRESS_0 + 24) || (at >= PCI_ROM_ADDRESS && at < PCI_ROM_ADDRESS + 4);
}

function mask(width: number): number {
  return width === 4 ? 0xffff_ffff : width === 2 ? 0xffff : 0xff;
}

function little(bytes: Uint8Array, at: number, width: number): number {
  return width === 4 ? read32(bytes, at) : width === 2 ? read16(bytes, at) : bytes[at]!;
}

function put(bytes: Uint8Array, at: number, width: number, value: number): void {
  for (let i = 0; i < width; i += 1) bytes[at + i] = value >>> (8 * i);
}
