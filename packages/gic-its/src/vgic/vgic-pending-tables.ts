/**
 * Pending tables in guest memory: KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES.
 *
 * Kernel: vgic_v3_save_pending_tables(). On GICv4.1 all vPEs of the VM are unmapped meanwhile, so that VPTs can be read; they are mapped
 * again on every path.
 */
import type { Refusals } from '@vsim/vfio-core';
import type { ItsDriver, ItsVm } from '../host/index.ts';
import type { GuestMemory } from './guest-memory.ts';
import { PENDING_TABLE } from './vm-reasons.ts';
import type { IrqTarget, LpiList } from './vgic-irq.ts';

/** A VM as SAVE_PENDING_TABLES knows it: its LPIs, and where the bits of each vCPU's lie. */
export interface PendingVm {
  readonly driver: ItsDriver;
  readonly itsVm: ItsVm | undefined;
  readonly memory: GuestMemory;
  readonly lpis: LpiList;
  readonly refusals: Refusals;
  readonly vgic: { pendingTable(vcpu: IrqTarget): number } | undefined;
}

/** @returns 0 or -EFAULT */
export function savePendingTables(vm: PendingVm): number {
  const { switches, gicv41 } = vm.driver;
  const vpes = gicv41 && switches.saveVlpiPending ? (vm.itsVm?.vpes ?? []) : [];
  for (const vpe of vpes) vpe.freeDoorbell();
  const error = saveBits(vm, vpes.length > 0 && switches.vlpiPeek);
  for (const vpe of vpes) vpe.requestDoorbell();
  return error;
}

/** @param readable VPTs can be read: for a VLPI the bit there counts, and its latch does not */
function saveBits({ memory, lpis, vgic, refusals }: PendingVm, readable: boolean): number {
  if (vgic === undefined) return 0;
  let last = -1;
  let byte = 0;
  for (const irq of lpis.all()) {
    const vcpu = irq.target;
    if (vcpu === undefined) continue;
    const address = vgic.pendingTable(vcpu) + (irq.intid >>> 3);
    if (address !== last) {
      if (!memory.accessible(address, 1)) return refusals.refuse(PENDING_TABLE, { vcpu: vcpu.id, lpi: irq.intid, address, access: 'read' });
      byte = memory.read8(address);
      last = address;
    }
    const bit = 1 << (irq.intid & 7);
    const pending = irq.hw && readable ? (vcpu.vpe?.peek(irq.intid) ?? false) : irq.pendingLatch;
    if (((byte & bit) !== 0) === pending) continue;
    byte ^= bit;
    if (!memory.accessible(address, 1, true)) return refusals.refuse(PENDING_TABLE, { vcpu: vcpu.id, lpi: irq.intid, address, access: 'written' });
    memory.write8(address, byte);
  }
  return 0;
}
