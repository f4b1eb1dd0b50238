/**
 * The SR-IOV capability of a physical function, and what a virtual function is to the hardware. Reference: Single Root I/O
 * Virtualization and Sharing 1.1, chapter 3.
 *
 * Modelled: VF Enable, VF MSE, NumVFs, First VF Offset and Stride, the VF BARs and their slices. Not modelled: VF migration, system
 * page sizes above 4 KiB, VFs on more than the PF's own bus number and those right above it.
 */
import type { Host } from '@vsim/vfio-core';
import { barFlags, type Bar, type BarInit } from './bars.ts';
import { read16 } from './capabilities.ts';
import type { ConfigSpace } from './config-space.ts';
import type { PciFunction, PciFunctionInit } from './pci-function.ts';
import {
  PCI_SRIOV_BAR,
  PCI_SRIOV_CTRL,
  PCI_SRIOV_CTRL_ARI,
  PCI_SRIOV_CTRL_MSE,
  PCI_SRIOV_CTRL_VFE,
  PCI_SRIOV_NUM_VF,
  PCI_SRIOV_TOTAL_VF,
  PCI_SRIOV_VF_DID,
  PCI_SRIOV_VF_OFFSET,
  PCI_SRIOV_VF_STRIDE,
} from './registers.ts';

/** How a physical function makes its virtual ones. */
export interface VirtualFunctionsInit {
  /** The configuration space of a VF after reset: ids ffff:ffff, BARs zero. */
  readonly config: Uint8Array;
  /** The VF BARs: the size is that of one VF, the address where VF 0's slice is. */
  readonly bars: readonly BarInit[];
  /** The VF's own write masks, dwords by offset. */
  readonly writeMasks?: Readonly<Record<number, number>> | undefined;
  /** Whether bytes outside of every structure take what is written. @default as the PF has it */
  readonly vendorBytes?: PciFunctionInit['vendorBytes'];
  /** The model of one VF. @default a function whose BARs read ones */
  readonly create?: ((host: Host, init: PciFunctionInit, index: number) => PciFunction) | undefined;
}

/** The registers of the capability, read from where they are. */
export class SriovCapability {
  /** Offset of the capability. */
  readonly at: number;
  readonly #config: ConfigSpace;

  /** @param at offset of the capability, in bytes */
  constructor(config: ConfigSpace, at: number) {
    this.#config = config;
    this.at = at;
  }

  /** TotalVFs: the most that there can be, 16 bits. */
  get totalVfs(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_TOTAL_VF);
  }

  /** NumVFs: how many software has set, 16 bits. */
  get numVfs(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_NUM_VF);
  }

  /** First VF Offset, 16 bits: from the PF's requester id to VF 0's. */
  get offset(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_VF_OFFSET);
  }

  /** VF Stride, 16 bits: from one VF's requester id to the next. */
  get stride(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_VF_STRIDE);
  }

  /** VF Device ID, 16 bits. */
  get vfDevice(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_VF_DID);
  }

  /** SR-IOV Control, 16 bits: PCI_SRIOV_CTRL_*. */
  get control(): number {
    return read16(this.#config.bytes, this.at + PCI_SRIOV_CTRL);
  }

  /** VFs exist, and their memory is decoded. */
  get decodes(): boolean {
    const both = PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;
    return (this.control & both) === both;
  }

  /** Stores where a VF BAR is. */
  setBar(bar: Bar): void {
    const at = this.at + PCI_SRIOV_BAR + 4 * bar.index;
    this.#config.set(at, 4, (bar.address % 0x1_0000_0000) + barFlags(bar));
    if (bar.kind === 'mem64') this.#config.set(at + 4, 4, Math.floor(bar.address / 0x1_0000_0000));
  }

  /** The requester id of a VF, 16 bits. @param pf requester id of its PF @param index which VF, from 0 */
  requester(pf: number, index: number): number {
    return (pf + this.offset + this.stride * index) & 0xffff;
  }

  /** A conventional reset: no VFs. ARI Capable Hierarchy stays, as the kernel set it on the PF. */
  reset(): void {
    this.#config.set(this.at + PCI_SRIOV_CTRL, 2, this.control & PCI_SRIOV_CTRL_ARI);
    this.#config.set(this.at + PCI_SRIOV_NUM_VF, 2, 0);
  }
}
