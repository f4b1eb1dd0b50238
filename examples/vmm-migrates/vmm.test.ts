/** vmm.ts: one VLPI is taken, the next is pending in the VPT alone when the VM is saved, and arrives on another host. */
import { expect, it } from 'vitest';
import { LPI, machine } from './machine.ts';
import { Vmm } from './vmm.ts';

it('a VLPI is delivered, saved and restored on a second host', () => {
  const source = machine();
  const vmm = new Vmm(source.user);
  const first = vmm.start(); // boots, then sleeps in WFI
  vmm.assign();
  source.raise();
  expect([first.result(), vmm.said]).toEqual([0, BigInt(LPI)]);

  const second = vmm.start();
  second.signal(); // the VMM stops the vCPU: EINTR
  expect(second.result()).toBe(-4);
  source.raise(); // into the VPT
  const saved = vmm.save();
  const pending = saved.ram[0x8_0000 + (LPI >> 3)]! & (1 << (LPI & 7));
  expect(pending).not.toBe(0);

  const there = machine();
  const restored = new Vmm(there.user, saved);
  restored.assign();
  expect([restored.start().result(), restored.said]).toEqual([0, BigInt(LPI)]);
  const next = restored.start();
  there.raise();
  expect([next.result(), restored.said]).toEqual([0, BigInt(LPI)]);
});
