/**
 * The registers of a VM's GIC and ITS as a VMM saves and restores them, through KVM device attributes.
 *
 * The order of a restore is part of the ABI: distributor, tables' addresses and interrupts of each redistributor and CPU interface, then
 * EnableLPIs; then the ITS' CBASER, CREADR, CWRITER, BASERn, the tables, and its CTLR last. What comes after EnableLPIs, the tables and CTLR
 * has a function of its own, as the VMM may do it at another time.
 */
import { StreamError } from '@vsim/vfio-core';
import { CTRL, GRP, SYSREG, type VgicIts } from '@vsim/gic-its';
import { must, VmmError, type VirtualMachine } from './virtual-machine.ts';

const GICD_CTLR = 0x0;
const GICR_CTLR = 0x0;
/** GICR_PROPBASER and GICR_PENDBASER in halves: EnableLPIs closes them. */
const LPI_TABLES = [0x70, 0x74, 0x78, 0x7c] as const;
const SGI_FRAME = 0x1_0000;
const GITS = { CTLR: 0x0, IIDR: 0x4, CBASER: 0x80, CWRITER: 0x88, CREADR: 0x90, BASER0: 0x100, BASER1: 0x108 } as const;
const ITS_BEFORE_TABLES = [GITS.IIDR, GITS.CBASER, GITS.CREADR, GITS.CWRITER, GITS.BASER0, GITS.BASER1] as const;
/** The CPU interface, in the order of a restore. */
const CPU_INTERFACE: readonly number[] = Object.values(SYSREG);

/** What 32 interrupts have: a register that takes bits away, written first, and the one that has them. */
interface Saved {
  readonly group: number;
  readonly attr: bigint;
  /** ICENABLER and ICACTIVER: all bits are taken away before those that were saved are set. */
  readonly clear: bigint | undefined;
}

/** Registers of 32 interrupts: where the first 32 have theirs, how far it is to those of the next, and the register that takes bits away. */
const BANK: readonly { readonly at: number; readonly stride: number; readonly clear?: number }[] = [
  { at: 0x80, stride: 4 },
  { at: 0x100, stride: 4, clear: 0x180 },
  { at: 0xc00, stride: 8 },
  { at: 0xc04, stride: 8 },
  ...[0, 4, 8, 12, 16, 20, 24, 28].map((byte) => ({ at: 0x400 + byte, stride: 32 })),
  { at: 0x200, stride: 4 },
  { at: 0x300, stride: 4, clear: 0x380 },
];

/** Group, enable, configuration, priorities, pending and active of interrupts 32 `n` to 32 `n` + 31, at `base`. */
function bank(group: number, base: bigint, n: number): readonly Saved[] {
  return BANK.map(({ at, stride, clear }) => ({
    group,
    attr: base + BigInt(at + stride * n),
    clear: clear === undefined ? undefined : base + BigInt(clear + stride * n),
  }));
}

/** Every register of distributor, redistributors and CPU interfaces, in the order of a restore. */
function vgicRegisters({ kvm, nrIrqs }: VirtualMachine): readonly Saved[] {
  const all: Saved[] = [{ group: GRP.DIST_REGS, attr: BigInt(GICD_CTLR), clear: undefined }];
  for (let n = 1; n < nrIrqs / 32; n += 1) all.push(...bank(GRP.DIST_REGS, 0n, n));
  for (const { id } of kvm.vcpus) {
    for (const offset of LPI_TABLES) all.push({ group: GRP.REDIST_REGS, attr: ofVcpu(id, offset), clear: undefined });
    all.push(...bank(GRP.REDIST_REGS, ofVcpu(id, SGI_FRAME), 0));
    for (const sysreg of CPU_INTERFACE) all.push({ group: GRP.CPU_SYSREGS, attr: ofVcpu(id, sysreg), clear: undefined });
  }
  return all;
}

/** Registers, then GICR_CTLR of each vCPU: 32-bit words. */
export function saveVgic(vm: VirtualMachine): Uint8Array {
  const { vgic, kvm } = vm;
  const words = vgicRegisters(vm).map(({ group, attr }) => register(vgic.getAttr(group, attr)));
  for (const { id } of kvm.vcpus) words.push(register(vgic.getAttr(GRP.REDIST_REGS, ofVcpu(id, GICR_CTLR))));
  const out = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => { out.setUint32(4 * i, Number(word), true); });
  return new Uint8Array(out.buffer);
}

/** Everything but GICR_CTLR. */
export function restoreVgic(vm: VirtualMachine, bytes: Uint8Array): void {
  const view = vgicWords(vm, bytes);
  let at = 0;
  for (const { group, attr, clear } of vgicRegisters(vm)) {
    if (clear !== undefined) must(vm.vgic.setAttr(group, clear, 0xffff_ffff), name(clear));
    must(vm.vgic.setAttr(group, attr, view.getUint32(at, true)), name(attr));
    at += 4;
  }
}

/** GICR_CTLR: LPIs are enabled where they were. */
export function restoreLpiEnables(vm: VirtualMachine, bytes: Uint8Array): void {
  const view = vgicWords(vm, bytes);
  const { vcpus } = vm.kvm;
  vcpus.forEach(({ id }, n) => {
    const value = view.getUint32(bytes.length - 4 * (vcpus.length - n), true);
    must(vm.vgic.setAttr(GRP.REDIST_REGS, ofVcpu(id, GICR_CTLR), value), `GICR_CTLR of vCPU ${id}`);
  });
}

/** @throws StreamError unless the bytes are the registers of a VM like this one */
export function vgicWords(vm: VirtualMachine, bytes: Uint8Array): DataView {
  const vcpus = vm.kvm.vcpus.length;
  const count = 1 + BANK.length * (vm.nrIrqs / 32 - 1 + vcpus) + vcpus * (LPI_TABLES.length + CPU_INTERFACE.length + 1);
  if (bytes.length !== 4 * count) throw new StreamError('vgic: another number of vCPUs');
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The registers before the tables, then CTLR: 64-bit words. The tables themselves are in guest memory. */
export function saveIts(its: VgicIts): Uint8Array {
  const values = [...ITS_BEFORE_TABLES, GITS.CTLR].map((offset) => register(its.getAttr(GRP.ITS_REGS, offset)));
  const out = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => { out.setBigUint64(8 * i, value, true); });
  return new Uint8Array(out.buffer);
}

/** Everything before the tables. */
export function restoreIts(its: VgicIts, bytes: Uint8Array): void {
  const view = itsWords(bytes);
  ITS_BEFORE_TABLES.forEach((offset, i) => {
    must(its.setAttr(GRP.ITS_REGS, offset, view.getBigUint64(8 * i, true)), `GITS register 0x${offset.toString(16)}`);
  });
}

/** The tables: guest memory and the vgic's registers have to be there. */
export function restoreItsTables(its: VgicIts): void {
  must(its.setAttr(GRP.CTRL, CTRL.ITS_RESTORE_TABLES, 0), 'RESTORE_TABLES');
}

/** GITS_CTLR: commands that were still queued run as it is enabled. */
export function restoreItsEnable(its: VgicIts, bytes: Uint8Array): void {
  must(its.setAttr(GRP.ITS_REGS, GITS.CTLR, itsWords(bytes).getBigUint64(8 * ITS_BEFORE_TABLES.length, true)), 'GITS_CTLR');
}

/** @throws StreamError unless the bytes are the registers of an ITS */
export function itsWords(bytes: Uint8Array): DataView {
  if (bytes.length !== 8 * (ITS_BEFORE_TABLES.length + 1)) throw new StreamError('its: another set of registers');
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function name(attr: bigint): string {
  return `vgic register 0x${attr.toString(16)}`;
}

/** REDIST_REGS and CPU_SYSREGS take the vCPU's affinity in the high half. */
function ofVcpu(cpu: number, number: number): bigint {
  return (BigInt(cpu) << 32n) | BigInt(number);
}

function register(value: bigint | number): bigint {
  if (typeof value === 'number') throw new VmmError('a GIC register', value);
  return value;
}
