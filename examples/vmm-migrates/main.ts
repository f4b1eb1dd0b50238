/** A VM with an assigned device is saved with an interrupt on its way, and goes on on another host. */
import { SyscallError } from '@vsim/vfio-core';
import { LPI, machine } from './machine.ts';
import { Vmm } from './vmm.ts';

// #region assigned
const source = machine();
const vmm = new Vmm(source.user);
const booted = vmm.start(); // the guest brings up its GIC, then sleeps in WFI
vmm.assign();
source.raise(); // the device writes its MSI: with GICv4.1 it reaches the guest without the VMM
booted.result();
console.log('the guest took LPI', String(vmm.said));
// #endregion assigned

// #region running
const running = vmm.start();
try {
  vmm.save();
} catch (error) {
  if (!(error instanceof SyscallError)) throw error;
  console.log('too early:', error.message);
}
// #endregion running

// #region saved
running.signal(); // the VMM stops the vCPU
console.log('KVM_RUN:', running.result());
source.raise(); // pending in the VPT alone: nobody is there to take it
const saved = vmm.save();
const pending = (saved.ram[0x8_0000 + (LPI >> 3)]! >> (LPI & 7)) & 1;
console.log('saved: pending bit of the LPI', pending);
// #endregion saved

// #region restored
const there = machine();
const restored = new Vmm(there.user, saved);
restored.assign();
restored.start().result();
console.log('on the other host it took LPI', String(restored.said));
const next = restored.start();
there.raise();
next.result();
console.log('and LPI', String(restored.said), 'again, from the device there');
// #endregion restored
