import { DmaPort, assertSameCore, eventKind, type EventKind, type Host, type IommuGroup, type MmioDevice } from '@vsim/vfio-core';
import { CORRECTABLE_ERRORS, UNCORRECTABLE_ERRORS, logError, type ErrorMessage, type LoggedError, type PciError } from './aer.ts';
import { PciAddress, formatAddress } from './address.ts';
import { barAddress, checkBars, checkBarsMatch, makeBar, setBarAddress, type Bar, type BarInit } from './bars.ts';
import { findCapability, findExtendedCapability, read16, write16 } from './capabilities.ts';
import { ConfigSpace } from './config-space.ts';
import { INTX_UNHANDLED, type IntxLine, type IntxSource } from './intx-line.ts';
import { Msi, Msix } from './msi.ts';
import {
  PCI_CACHE_LINE_SIZE,
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_MSI,
  PCI_CAP_ID_MSIX,
  PCI_CAP_ID_PM,
  PCI_CAP_ID_VPD,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL_BCR_FLR,
  PCI_AF_CTRL,
  PCI_AF_CTRL_FLR,
  PCI_EXT_CAP_ID_ERR,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_BRIDGE,
  PCI_HEADER_TYPE_MASK,
  PCI_INTERRUPT_LINE,
  PCI_MSIX_FLAGS,
  PCI_MSI_FLAGS,
  PCI_PM_CTRL,
  PCI_PM_CTRL_NO_SOFT_RESET,
  PCI_PM_CTRL_STATE_MASK,
  PCI_ROM_RESOURCE,
  PCI_STATUS,
  PCI_STATUS_INTERRUPT,
  PCI_VPD_ADDR,
} from './registers.ts';
import { romImageSize } from './rom.ts';
import { SriovCapability, type VirtualFunctionsInit } from './sriov.ts';
import { Vpd } from './vpd.ts';
import { overrideWriteMasks, setWriteMasks } from './write-masks.ts';

/** What a function is made of, whatever its model. */
export interface PciFunctionInit {
  /** `domain:bus:device.function`, as `0000:00:02.0`. */
  readonly address: string;
  /** The whole configuration space: 256 or 4096 bytes. buildConfig() makes one. */
  readonly config: Uint8Array;
  /** What it decodes, by index. @default nothing */
  readonly bars?: readonly BarInit[] | undefined;
  /** Whether bytes outside of every structure take what is written. @default 'read-only' */
  readonly vendorBytes?: 'storage' | 'read-only' | undefined;
  /** The device's own write masks, dwords by offset, over those of the specifications. */
  readonly writeMasks?: Readonly<Record<number, number>> | undefined;
  /** Vital product data, for a function with the capability: whole dwords, at most 32 KiB. @default accesses never end */
  readonly vpd?: Uint8Array | undefined;
  /** The machine's firmware has a reset for it (_RST). @default false */
  readonly acpiReset?: boolean | undefined;
  /** The machine's firmware can cut its power (_PR3): it sleeps in D3cold. @default false */
  readonly powerCut?: boolean | undefined;
  /** An expansion ROM's image that firmware has left in memory, for a function without a ROM of its own (struct setup_data, SETUP_PCI). */
  readonly firmwareRom?: Uint8Array | undefined;
  /** Its BARs answer to special instructions alone, so that nobody can map them (s390's ISM). @default false */
  readonly nonMappableBars?: boolean | undefined;
  /** What the VFs are, for a function with an SR-IOV capability. @default it cannot have any */
  readonly virtualFunctions?: VirtualFunctionsInit | undefined;
  /** The PF of a virtual function, whose BARs are slices of the PF's. */
  readonly physicalFunction?: PciFunction | undefined;
}

/** A function raised an interrupt that no software has enabled, or may not send it. */
export const INTERRUPT_DROPPED: EventKind<{ readonly function: string; readonly vector: number; readonly why: string }> = eventKind(
  'pci/interrupt-dropped',
  'fault',
  (fields) => `${fields.function}: vector ${fields.vector} dropped: ${fields.why}`,
);

/** Why a function does not answer. */
export type Absence = 'no power' | 'link down' | 'removed';

/** The function found an error. */
export const ERROR_DETECTED: EventKind<LoggedError & { readonly function: string }> = eventKind(
  'pci/error-detected',
  'fault',
  (fields) => `${fields.function}: ${fields.severity} error ${fields.error}${fields.kept === undefined ? '' : `, not reported: ${fields.kept}`}`,
);

/** A vector was raised while it is masked: it waits in its pending bit until software unmasks it, or a reset loses it. */
export const INTERRUPT_PENDING: EventKind<{ readonly function: string; readonly vector: number }> = eventKind(
  'pci/interrupt-pending',
  'info',
  (fields) => `${fields.function}: vector ${fields.vector} is masked: it waits in its pending bit`,
);

/**
 * A PCI function as hardware: configuration space, base address registers, interrupts, DMA, reset. The models of devices extend it.
 *
 * Reference: PCI Local Bus 3.0; PCI Express Base. Modelled: decoding by COMMAND and power state, sizing, MSI, MSI-X, INTx with DisINTx and
 * the status bit, bus mastering, function level reset, D-states, bytes that software may write, absence. Not modelled: bus numbers and
 * windows of bridges that software moves (a range stays where the machine put it), transactions.
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 * import { buildConfig, ones, PciFunction } from '@vsim/vfio-pci';
 *
 * class Dice extends PciFunction {
 *   protected override barRead(bar: number, offset: number, width: number): number {
 *     return bar === 0 && offset === 0 && width === 4 ? 1 + this.host.random.below(6) : ones(width);
 *   }
 * }
 *
 * const bars = [{ index: 0, size: 0x1000 }];
 * const dice = new Dice(new Host({ seed: 4 }), { address: '0000:00:03.0', bars, config: buildConfig({ vendor: 0x1234, device: 6, bars }) });
 * dice.configWrite(4, 2, 2); // COMMAND: memory
 * console.log(dice.readBar(0, 0, 4) <= 6); // true
 * ```
 */
export class PciFunction implements IntxSource {
  /** The host that it is made for: its memory, its trace. */
  readonly host: Host;
  /** Where it is: domain, bus, device and function. */
  readonly address: PciAddress;
  /** Its address as text: `0000:00:02.0`. */
  readonly name: string;
  /** Its configuration space as hardware keeps it. */
  readonly config: ConfigSpace;
  /** BARs and expansion ROM that it has, in the order of their declaration; bar() finds one by its index. */
  readonly bars: readonly Bar[];
  /** The VF BARs of a physical function: the size is one VF's, the address that of VF 0's slice. */
  readonly virtualBars: readonly Bar[];
  /** Its MSI capability; undefined: it has none. */
  readonly msi: Msi | undefined;
  /** Its MSI-X capability with table and pending bits; undefined: it has none. */
  readonly msix: Msix | undefined;
  /** The SR-IOV capability of a physical function. */
  readonly sriov: SriovCapability | undefined;
  /** The physical function that a virtual function belongs to. */
  readonly physicalFunction: PciFunction | undefined;
  /** Firmware can reset it. */
  readonly acpiReset: boolean;
  /** Firmware can cut its power. */
  readonly powerCut: boolean;
  /** The image of a ROM that firmware has left in memory; empty if there is none. */
  readonly firmwareRom: Uint8Array;
  /** Its BARs answer to special instructions alone: see PciFunctionInit.nonMappableBars. */
  readonly nonMappableBars: boolean;
  /** Where error messages go; set by the bus. */
  errorMessage: ((message: ErrorMessage) => void) | undefined = undefined;
  /** The line that the INTx pin is wired to; set by the bus. */
  line: IntxLine | undefined = undefined;
  /** Set by the bus: the IOMMU group that translates the DMA. */
  iommuGroup: IommuGroup | undefined = undefined;
  readonly #dma: DmaPort;
  readonly #barByIndex: (Bar | undefined)[] = [];
  readonly #unmap: (() => void)[] = [];
  readonly #pm: number;
  readonly #express: number;
  readonly #af: number;
  readonly #vpd: Vpd | undefined;
  readonly #vendorBytes: 'storage' | 'read-only';
  readonly #virtualFunctions: VirtualFunctionsInit | undefined;
  readonly #aer: number;
  #pin = false;
  #absence: Absence | undefined;

  /**
   * @throws RangeError for an address, a configuration space, a BAR or VPD that there cannot be; TypeError for a host of another vfio-core
   */
  constructor(host: Host, init: PciFunctionInit) {
    assertSameCore(host);
    this.host = host;
    this.address = new PciAddress(init.address);
    this.name = init.address;
    this.config = new ConfigSpace(init.config);
    this.physicalFunction = init.physicalFunction;
    checkBars(init.bars ?? []);
    this.bars = (init.bars ?? []).map((bar) => makeBar(bar, init.physicalFunction !== undefined));
    checkBarsMatch(this.config.bytes, this.bars);
    this.virtualBars = (init.virtualFunctions?.bars ?? []).map((bar) => makeBar(bar, true));
    for (const bar of this.bars) this.#barByIndex[bar.index] = bar;
    this.acpiReset = init.acpiReset ?? false;
    this.powerCut = init.powerCut ?? false;
    this.firmwareRom = init.firmwareRom ?? new Uint8Array(0);
    this.nonMappableBars = init.nonMappableBars ?? false;
    this.#vendorBytes = init.vendorBytes ?? 'read-only';
    setWriteMasks(this.config, this.bars, this.#vendorBytes);
    if (init.writeMasks !== undefined) overrideWriteMasks(this.config, init.writeMasks);
    this.#dma = new DmaPort(host, init.address, this.address.requester, () => this.iommuGroup);
    const send = (address: number, data: number): void => this.#send(address, data);
    const { bytes } = this.config;
    const msi = findCapability(bytes, PCI_CAP_ID_MSI);
    const msix = findCapability(bytes, PCI_CAP_ID_MSIX);
    const pended = (vector: number): void => {
      if (host.trace.on) host.trace.emit(INTERRUPT_PENDING, { function: this.name, vector });
    };
    this.msi = msi === 0 ? undefined : new Msi(this.config, msi, send, pended);
    this.msix = msix === 0 ? undefined : new Msix(this.config, msix, send, pended);
    const sriov = findExtendedCapability(bytes, PCI_EXT_CAP_ID_SRIOV);
    this.sriov = sriov === 0 ? undefined : new SriovCapability(this.config, sriov);
    if (this.sriov === undefined && init.virtualFunctions !== undefined) throw new RangeError(`"virtualFunctions" expected a configuration with the SR-IOV capability, got that of ${this.name} without`);
    this.#virtualFunctions = init.virtualFunctions;
    this.#pm = findCapability(bytes, PCI_CAP_ID_PM);
    this.#express = findCapability(bytes, PCI_CAP_ID_EXP);
    this.#af = findCapability(bytes, PCI_CAP_ID_AF);
    this.#aer = findExtendedCapability(bytes, PCI_EXT_CAP_ID_ERR);
    const vpd = findCapability(bytes, PCI_CAP_ID_VPD);
    if (vpd === 0 && init.vpd !== undefined) throw new RangeError(`"vpd" expected a configuration with the VPD capability, got that of ${this.name} without`);
    this.#vpd = vpd === 0 || init.vpd === undefined ? undefined : new Vpd(this.config, vpd, init.vpd);
  }

  // What a model implements.

  /**
   * Loads from a BAR. A model overrides this.
   *
   * @param _bar index, 0 to 5
   * @param _offset bytes, inside of the BAR and aligned to the width
   * @param width 1, 2 or 4 bytes
   * @default ones
   * @returns unsigned
   */
  protected barRead(_bar: number, _offset: number, width: number): number {
    return ones(width);
  }

  /**
   * Stores to a BAR. A model overrides this.
   *
   * @param _bar index, 0 to 5
   * @param _offset bytes, inside of the BAR and aligned to the width
   * @param _width 1, 2 or 4 bytes
   * @param _value unsigned
   * @default nothing
   */
  protected barWrite(_bar: number, _offset: number, _width: number, _value: number): void {
    // No registers.
  }

  /**
   * 8-byte loads of a BAR: low half to into[0], high half to into[1].
   *
   * @param bar index, 0 to 5
   * @param offset bytes, a multiple of 8
   * @default two of 4 bytes
   */
  protected barRead64(bar: number, offset: number, into: Uint32Array): void {
    into[0] = this.barRead(bar, offset, 4);
    into[1] = this.barRead(bar, offset + 4, 4);
  }

  /**
   * 8-byte stores to a BAR.
   *
   * @param bar index, 0 to 5
   * @param offset bytes, a multiple of 8
   * @param lo bits 31:0
   * @param hi bits 63:32
   * @default two of 4 bytes, the low one first
   */
  protected barWrite64(bar: number, offset: number, lo: number, hi: number): void {
    this.barWrite(bar, offset, 4, lo);
    this.barWrite(bar, offset + 4, 4, hi);
  }

  /** One byte of the ROM's image. @param _offset bytes from its start @default ones */
  protected romRead(_offset: number): number {
    return 0xff;
  }

  /**
   * Bytes of the images in the ROM, whose BAR may decode more; 0 is a ROM without an image.
   *
   * @param size bytes that the ROM's BAR decodes
   * @default what their headers say
   */
  protected romImageBytes(size: number): number {
    return romImageSize((at) => this.romRead(at), size);
  }

  /** The function is reset: by FLR, by its bus, or by D3hot to D0. */
  protected reset(): void {
    // No state.
  }

  // What a model calls.

  /** Reads memory as bus master; false: not allowed or a fault, with `into` untouched. @param iova bytes, below 2^53 */
  dmaRead(iova: number, into: Uint8Array): boolean {
    return this.isMaster && this.#dma.read(iova, into);
  }

  /** Writes memory as bus master; false: not allowed or a fault, with no byte moved. @param iova bytes, below 2^53 */
  dmaWrite(iova: number, from: Uint8Array): boolean {
    return this.isMaster && this.#dma.write(iova, from);
  }

  /**
   * dmaRead() at an IOVA of 64 bits in halves, as registers have it, or `offset` bytes behind it.
   *
   * @param lo bits 31:0
   * @param hi bits 63:32
   */
  dmaReadWide(lo: number, hi: number, into: Uint8Array, offset = 0): boolean {
    return this.isMaster && this.#dma.readWide(lo, hi, into, offset);
  }

  /**
   * dmaWrite() at an IOVA of 64 bits in halves, as registers have it, or `offset` bytes behind it.
   *
   * @param lo bits 31:0
   * @param hi bits 63:32
   */
  dmaWriteWide(lo: number, hi: number, from: Uint8Array, offset = 0): boolean {
    return this.isMaster && this.#dma.writeWide(lo, hi, from, offset);
  }

  /** Calls `written` for each DMA write that went through: page frame, offset in it, length. */
  protected logDma(written: (frame: number, offset: number, length: number) => void): void {
    this.#dma.written = written;
  }

  /**
   * Sends a message-signalled interrupt: MSI-X if enabled, else MSI. Drops it, with an event, if neither is.
   *
   * @param vector from 0; MSI-X ignores one past its table, MSI sends it as 0
   */
  raise(vector = 0): void {
    if (this.#absence !== undefined) this.#dropped(vector, `the function is not there: ${this.#absence}`);
    else if (this.msix?.enabled === true) this.msix.raise(vector);
    else if (this.msi?.enabled === true) this.msi.raise(vector);
    else this.#dropped(vector, 'message-signalled interrupts are off');
  }

  /** Whether software has chosen MSI or MSI-X. */
  get messagesEnabled(): boolean {
    return this.msix?.enabled === true || this.msi?.enabled === true;
  }

  /** Drives the INTx pin. The line follows unless COMMAND says no; STATUS shows it all the same. */
  setIntx(level: boolean): void {
    this.#pin = level;
    const { bytes } = this.config;
    const status = read16(bytes, PCI_STATUS);
    write16(bytes, PCI_STATUS, level ? status | PCI_STATUS_INTERRUPT : status & ~PCI_STATUS_INTERRUPT);
    this.#driveLine();
  }

  /**
   * The function detects an error: its registers tell, and a message goes to the root port if software lets it.
   *
   * @throws RangeError for an error that there is not; TypeError for a function without PCI Express
   */
  error(error: PciError): void {
    if (!Object.hasOwn(UNCORRECTABLE_ERRORS, error) && !Object.hasOwn(CORRECTABLE_ERRORS, error)) throw new RangeError(`"error" expected an error of PCI Express, got ${error}`);
    if (this.#express === 0) throw new TypeError(`"error" expected a function with PCI Express, got ${this.name}`);
    if (this.#absence !== undefined) return;
    const logged = logError(this.config, this.#aer, this.#express, error);
    if (this.host.trace.on) this.host.trace.emit(ERROR_DETECTED, { function: this.name, ...logged });
    if (logged.kept === undefined) this.errorMessage?.(logged);
  }

  /** Why nobody answers at its place; undefined while somebody does. */
  get absence(): Absence | undefined {
    return this.#absence;
  }

  /** The function goes, or comes back as after a reset. Reads of an absent function are ones, writes vanish, and it does nothing of its own. */
  setAbsence(absence: Absence | undefined): void {
    if (absence === this.#absence) return;
    this.#absence = absence;
    if (absence === undefined) this.resetFunction();
    else this.#driveLine();
  }

  /** The COMMAND register, 16 bits: PCI_COMMAND_*. */
  get command(): number {
    return read16(this.config.bytes, PCI_COMMAND);
  }

  /** Whether it may do DMA and send messages: Bus Master Enable, in D0, and there. */
  get isMaster(): boolean {
    return (this.command & PCI_COMMAND_MASTER) !== 0 && this.powerState === 0 && this.#absence === undefined;
  }

  /** 0 is D0, 3 D3hot. */
  get powerState(): number {
    return this.#pm === 0 ? 0 : this.config.bytes[this.#pm + PCI_PM_CTRL]! & PCI_PM_CTRL_STATE_MASK;
  }

  /** Header type 1: a PCI-to-PCI bridge or a port. */
  get isBridge(): boolean {
    return (this.config.bytes[PCI_HEADER_TYPE]! & PCI_HEADER_TYPE_MASK) === PCI_HEADER_TYPE_BRIDGE;
  }

  /** The hardware of a VF; undefined if the function can have none. The bus makes it appear. @param index from 0 */
  makeVirtualFunction(index: number): PciFunction | undefined {
    const what = this.#virtualFunctions;
    if (what === undefined || this.sriov === undefined) return undefined;
    const init: PciFunctionInit = {
      address: formatAddress(this.address.domain, this.sriov.requester(this.address.requester, index)),
      config: what.config,
      bars: this.virtualBars.map((bar) => ({ ...bar, address: bar.address === 0 ? 0 : bar.address + index * bar.size })),
      vendorBytes: what.vendorBytes ?? this.#vendorBytes,
      writeMasks: what.writeMasks,
      physicalFunction: this,
    };
    return what.create?.(this.host, init, index) ?? new PciFunction(this.host, init);
  }

  /** The BAR with this index; undefined for one that it does not have. @param index 0 to 5, 6 for the expansion ROM */
  bar(index: number): Bar | undefined {
    return this.#barByIndex[index];
  }

  // What software does.

  /**
   * A configuration read by software; ones of a function that does not answer.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @returns unsigned
   */
  configRead(offset: number, width: number): number {
    return this.#absence === undefined ? this.config.read(offset, width) : ones(width);
  }

  /**
   * A configuration write with what it sets off: resets, power states, interrupts.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @param value unsigned
   */
  configWrite(offset: number, width: number, value: number): void {
    if (this.#absence !== undefined) return;
    const end = offset + width;
    const touches = (at: number, length: number): boolean => at !== 0 && offset < at + length && end > at;
    const before = this.powerState;
    this.config.write(offset, width, value);
    if (touches(PCI_COMMAND, 2)) this.#driveLine();
    if (this.msi !== undefined && touches(this.msi.at + PCI_MSI_FLAGS, 22)) this.msi.update();
    if (this.msix !== undefined && touches(this.msix.at + PCI_MSIX_FLAGS, 2)) this.msix.update();
    if (this.#pm !== 0 && touches(this.#pm + PCI_PM_CTRL, 1)) this.#powerChanged(before);
    if (this.#express !== 0 && touches(this.#express + PCI_EXP_DEVCTL, 2)) this.#expressControl();
    if (this.#vpd !== undefined && touches(this.#vpd.at + PCI_VPD_ADDR + 1, 1)) this.#vpd.access();
    if (this.#af !== 0 && touches(this.#af + PCI_AF_CTRL, 1)) this.#advancedFeatures();
  }

  /**
   * A load from a BAR by anyone: ones while the function does not decode.
   *
   * @param index 0 to 5
   * @param offset bytes, aligned to the width
   * @param width 1, 2 or 4 bytes
   * @returns unsigned
   */
  readBar(index: number, offset: number, width: number): number {
    const bar = this.#barByIndex[index];
    if (bar === undefined || !this.#decodes(bar)) return ones(width);
    const { msix } = this;
    if (msix !== undefined) {
      if (index === msix.tableBar && inside(offset, msix.tableOffset, msix.tableBytes)) return msix.readTable(offset - msix.tableOffset, width);
      if (index === msix.pbaBar && inside(offset, msix.pbaOffset, msix.pbaBytes)) return msix.readPending(offset - msix.pbaOffset, width);
    }
    return this.barRead(index, offset, width);
  }

  /**
   * A store to a BAR by anyone: lost while the function does not decode.
   *
   * @param index 0 to 5
   * @param offset bytes, aligned to the width
   * @param width 1, 2 or 4 bytes
   * @param value unsigned
   */
  writeBar(index: number, offset: number, width: number, value: number): void {
    const bar = this.#barByIndex[index];
    if (bar === undefined || !this.#decodes(bar)) return;
    const { msix } = this;
    if (msix !== undefined) {
      if (index === msix.tableBar && inside(offset, msix.tableOffset, msix.tableBytes)) {
        msix.writeTable(offset - msix.tableOffset, width, value);
        return;
      }
      if (index === msix.pbaBar && inside(offset, msix.pbaOffset, msix.pbaBytes)) return; // read-only
    }
    this.barWrite(index, offset, width, value);
  }

  /** 8-byte load: low half to into[0], high half to into[1]. @param index 0 to 5 @param offset bytes, a multiple of 8 */
  readBar64(index: number, offset: number, into: Uint32Array): void {
    const bar = this.#barByIndex[index];
    const own = bar !== undefined && this.#decodes(bar) && !this.#isMsix(index, offset);
    if (own) {
      this.barRead64(index, offset, into);
      return;
    }
    into[0] = this.readBar(index, offset, 4);
    into[1] = this.readBar(index, offset + 4, 4);
  }

  /**
   * 8-byte store; the MSI-X table takes it as two of 4 bytes.
   *
   * @param index 0 to 5
   * @param offset bytes, a multiple of 8
   * @param lo bits 31:0
   * @param hi bits 63:32
   */
  writeBar64(index: number, offset: number, lo: number, hi: number): void {
    const bar = this.#barByIndex[index];
    if (bar !== undefined && this.#decodes(bar) && !this.#isMsix(index, offset)) {
      this.barWrite64(index, offset, lo, hi);
      return;
    }
    this.writeBar(index, offset, 4, lo);
    this.writeBar(index, offset + 4, 4, hi);
  }

  /** Bytes of the images in the expansion ROM; 0: there is no ROM, it is nowhere, or it has no image. */
  get romSize(): number {
    const bar = this.#barByIndex[PCI_ROM_RESOURCE];
    return bar === undefined || bar.address === 0 ? 0 : this.romImageBytes(bar.size);
  }

  /** A byte of the expansion ROM, for software that has switched its decoding on. @param offset bytes */
  readRom(offset: number): number {
    return this.#absence === undefined ? this.romRead(offset) : 0xff;
  }

  /** A conventional or function level reset: registers to their defaults, and the model's own state. */
  resetFunction(): void {
    const { config } = this;
    const command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE | 0x100;
    config.set(PCI_COMMAND, 2, this.command & ~command);
    config.set(PCI_CACHE_LINE_SIZE, 1, 0);
    config.set(PCI_INTERRUPT_LINE, 1, 0);
    for (const bar of this.bars) if (!bar.shadow && !bar.slice) setBarAddress(config.bytes, bar, 0);
    this.sriov?.reset();
    this.msi?.reset();
    this.msix?.reset();
    if (this.#pm !== 0) config.set(this.#pm + PCI_PM_CTRL, 1, config.read(this.#pm + PCI_PM_CTRL, 1) & ~PCI_PM_CTRL_STATE_MASK);
    this.setIntx(false);
    this.reset();
  }

  // What the bus does.

  /** Puts the memory BARs into the host's address space, where they are; the bus calls it. @internal */
  mapBars(): void {
    for (const bar of this.bars) {
      if (bar.kind === 'io' || bar.address === 0 || bar.shadow || bar.index === PCI_ROM_RESOURCE) continue;
      this.#unmap.push(this.host.memory.map(bar.address, bar.size, this.#window(bar.index)));
    }
  }

  /** Takes the memory BARs out of the host's address space. @internal */
  unmapBars(): void {
    for (const unmap of this.#unmap.splice(0)) unmap();
  }

  /** Nobody took the interrupt of its INTx: INTX_UNHANDLED. @param irq Linux irq number */
  unhandled(irq: number): void {
    if (this.host.trace.on) this.host.trace.emit(INTX_UNHANDLED, { irq, source: this.name });
  }

  /** A CPU's access: one that is not aligned reaches the function byte by byte. */
  #window(index: number): MmioDevice {
    return {
      read: (offset, width) => {
        if (offset % width === 0) return this.readBar(index, offset, width);
        let value = 0;
        for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + this.readBar(index, offset + i, 1);
        return value;
      },
      write: (offset, width, value) => {
        if (offset % width === 0) this.writeBar(index, offset, width, value);
        else for (let i = 0; i < width; i += 1) this.writeBar(index, offset + i, 1, (value >>> (8 * i)) & 0xff);
      },
      read64: (offset, into) => this.readBar64(index, offset, into),
      write64: (offset, lo, hi) => this.writeBar64(index, offset, lo, hi),
    };
  }

  #decodes(bar: Bar): boolean {
    if (this.#absence !== undefined) return false;
    // A VF has no memory enable of its own.
    if (bar.slice) return this.physicalFunction?.sriov?.decodes === true && this.physicalFunction.powerState === 0 && this.powerState === 0;
    const enable = bar.kind === 'io' ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    return (this.command & enable) !== 0 && this.powerState === 0 && (bar.shadow || barAddress(this.config.bytes, bar) === bar.address);
  }

  #isMsix(index: number, offset: number): boolean {
    const { msix } = this;
    if (msix === undefined) return false;
    return (
      (index === msix.tableBar && inside(offset, msix.tableOffset, msix.tableBytes)) ||
      (index === msix.pbaBar && inside(offset, msix.pbaOffset, msix.pbaBytes))
    );
  }

  #driveLine(): void {
    const up = this.#pin && (this.command & PCI_COMMAND_INTX_DISABLE) === 0 && this.#absence === undefined;
    if (up) this.line?.raise(this);
    else this.line?.lower(this);
  }

  #powerChanged(before: number): void {
    const loses = (this.config.bytes[this.#pm + PCI_PM_CTRL]! & PCI_PM_CTRL_NO_SOFT_RESET) === 0;
    if (before === 3 && this.powerState === 0 && loses) this.resetFunction();
  }

  #expressControl(): void {
    const at = this.#express + PCI_EXP_DEVCTL;
    const control = this.config.read(at, 2);
    if ((control & PCI_EXP_DEVCTL_BCR_FLR) === 0) return;
    this.config.set(at, 2, control & ~PCI_EXP_DEVCTL_BCR_FLR);
    this.resetFunction();
  }

  #advancedFeatures(): void {
    const at = this.#af + PCI_AF_CTRL;
    if ((this.config.read(at, 1) & PCI_AF_CTRL_FLR) === 0) return;
    this.config.set(at, 1, 0);
    this.resetFunction();
  }

  #send(address: number, data: number): void {
    if (this.isMaster) this.#dma.raiseMsi(address, data);
    else this.#dropped(0, 'bus mastering is off');
  }

  #dropped(vector: number, why: string): void {
    if (this.host.trace.on) this.host.trace.emit(INTERRUPT_DROPPED, { function: this.name, vector, why });
  }
}

/** What a read gives that nobody answers. @param width 1, 2 or 4 bytes @returns 0xff, 0xffff or 0xffffffff */
export function ones(width: number): number {
  return width === 1 ? 0xff : width === 2 ? 0xffff : 0xffff_ffff;
}

function inside(offset: number, start: number, length: number): boolean {
  return offset >= start && offset < start + length;
}
