/**
 * The registers of a VM's GIC and ITS as a VMM saves and restores them, through KVM device attributes. The order of a restore is
 * part of the ABI: distributor, redistributors and CPU interfaces first, then CBASER, CREADR, CWRITER, BASERn, the tables, CTLR last.
 */
import { StreamError } from '@vsim/vfio-core';
import { CTRL, GRP, SYSREG, type VgicIts } from '@vsim/gic-its';
import { must, VmmError, type VirtualMachine } from './virtual-machine.ts';

const GICD_CTLR = 0x0;
/** GICR_PROPBASER and GICR_PENDBASER in halves, then GICR_CTLR: EnableLPIs latches the others. */
const REDISTRIBUTOR = [0x70, 0x74, 0x78, 0x7c, 0x0] as const;
const GITS = { CTLR: 0x0, IIDR: 0x4, CBASER: 0x80, CWRITER: 0x88, CREADR: 0x90, BASER0: 0x100, BASER1: 0x108 } as const;
const ITS_BEFORE_TABLES = [GITS.IIDR, GITS.CBASER, GITS.CREADR, GITS.CWRITER, GITS.BASER0, GITS.BASER1] as const;

/** The CPU interface, in the order of a restore. */
const CPU_INTERFACE: readonly number[] = Object.values(SYSREG);
const WORDS_PER_VCPU: number = REDISTRIBUTOR.length + CPU_INTERFACE.length;

/** GICD_CTLR, then redistributor and CPU interface of each vCPU: 32-bit words. */
export function saveVgic({ vgic, kvm }: VirtualMachine): Uint8Array {
  const words = [register(vgic.getAttr(GRP.DIST_REGS, GICD_CTLR))];
  for (const { id } of kvm.vcpus) {
    for (const offset of REDISTRIBUTOR) words.push(register(vgic.getAttr(GRP.REDIST_REGS, ofVcpu(id, offset))));
    for (const sysreg of CPU_INTERFACE) words.push(register(vgic.getAttr(GRP.CPU_SYSREGS, ofVcpu(id, sysreg))));
  }
  const out = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => { out.setUint32(4 * i, Number(word), true); });
  return new Uint8Array(out.buffer);
}

export function restoreVgic({ vgic, kvm }: VirtualMachine, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length !== 4 * (1 + WORDS_PER_VCPU * kvm.vcpus.length)) throw new StreamError('vgic: another number of vCPUs');
  must(vgic.setAttr(GRP.DIST_REGS, GICD_CTLR, view.getUint32(0, true)), 'GICD_CTLR');
  let at = 4;
  const restore = (group: number, cpu: number, number: number): void => {
    must(vgic.setAttr(group, ofVcpu(cpu, number), view.getUint32(at, true)), `vCPU ${cpu} register 0x${number.toString(16)}`);
    at += 4;
  };
  for (const { id } of kvm.vcpus) {
    for (const offset of REDISTRIBUTOR) restore(GRP.REDIST_REGS, id, offset);
    for (const sysreg of CPU_INTERFACE) restore(GRP.CPU_SYSREGS, id, sysreg);
  }
}

/** The registers before the tables, then CTLR: 64-bit words. The tables themselves are in guest memory. */
export function saveIts(its: VgicIts): Uint8Array {
  const values = [...ITS_BEFORE_TABLES, GITS.CTLR].map((offset) => register(its.getAttr(GRP.ITS_REGS, offset)));
  const out = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => { out.setBigUint64(8 * i, value, true); });
  return new Uint8Array(out.buffer);
}

/** Needs guest memory and the vgic's registers restored before. */
export function restoreIts(its: VgicIts, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length !== 8 * (ITS_BEFORE_TABLES.length + 1)) throw new StreamError('its: another set of registers');
  ITS_BEFORE_TABLES.forEach((offset, i) => {
    must(its.setAttr(GRP.ITS_REGS, offset, view.getBigUint64(8 * i, true)), `GITS register 0x${offset.toString(16)}`);
  });
  must(its.setAttr(GRP.CTRL, CTRL.ITS_RESTORE_TABLES, 0), 'RESTORE_TABLES');
  must(its.setAttr(GRP.ITS_REGS, GITS.CTLR, view.getBigUint64(8 * ITS_BEFORE_TABLES.length, true)), 'GITS_CTLR');
}

/** REDIST_REGS and CPU_SYSREGS take the vCPU's affinity in the high half. */
function ofVcpu(cpu: number, number: number): bigint {
  return (BigInt(cpu) << 32n) | BigInt(number);
}

function register(value: bigint | number): bigint {
  if (typeof value === 'number') throw new VmmError('a GIC register', value);
  return value;
}
