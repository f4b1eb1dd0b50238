/** The VMM unmaps memory behind a slot: every access of KVM to it is -EFAULT, and none of it is done. */
import { Process } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, OPCODE } from '../src/index.ts';
import { GUEST, Machine } from './machine.ts';

const EFAULT = -14;
const PAGE = 4096;
const DEVICE = 1;

/** A booted machine whose guest RAM is a process' memory, with LPI 8192 mapped. */
function machine(): { machine: Machine; unmap: (gpa: number, bytes: number) => void } {
  const made = new Machine({ version: 'gicv3', profile: 'linux-6.1' });
  made.boot();
  made.mapDevice(DEVICE, [8192]);
  const vmm = new Process(made.host);
  const bytes = 0x80_0000;
  const ram = vmm.mmap(-1, bytes);
  for (let at = 0; at < bytes; at += PAGE) {
    const page = new Uint8Array(PAGE);
    made.ram.readBytes(GUEST.RAM + at, page);
    if (page.some((byte) => byte !== 0)) ram.writeBytes(at, page);
  }
  made.vm.memory.removeSlot(GUEST.RAM);
  made.vm.memory.addSlot({ gpa: GUEST.RAM, size: bytes, memory: vmm.mm, offset: ram.address });
  return {
    machine: made,
    unmap: (gpa, length) => {
      vmm.mm.unmap(ram.address + gpa - GUEST.RAM, length);
    },
  };
}

describe('guest RAM that the VMM has unmapped', () => {
  it('all of it: SAVE_TABLES, SAVE_PENDING_TABLES and RESTORE_TABLES are -EFAULT [R9]', () => {
    const { machine: m, unmap } = machine();
    expect([m.saveTables(), m.savePending()]).toEqual([0, 0]);
    unmap(GUEST.RAM, 0x80_0000);
    expect([m.saveTables(), m.savePending(), m.restoreTables()]).toEqual([EFAULT, EFAULT, EFAULT]);
  });

  it('one table: the save that writes it is -EFAULT [R9]', () => {
    for (const table of [GUEST.DEVICES, GUEST.ITT + DEVICE * 0x1000, GUEST.COLLECTIONS]) {
      const { machine: m, unmap } = machine();
      unmap(table, PAGE);
      expect([m.saveTables(), m.savePending()]).toEqual([EFAULT, 0]);
    }
    const { machine: m, unmap } = machine();
    unmap(GUEST.PENDING, PAGE);
    expect([m.saveTables(), m.savePending()]).toEqual([0, EFAULT]);
  });

  it('one table: the restore that reads it is -EFAULT, also the LPI tables [R9]', () => {
    for (const table of [GUEST.DEVICES, GUEST.ITT + DEVICE * 0x1000, GUEST.COLLECTIONS, GUEST.PROPERTIES, GUEST.PENDING]) {
      const { machine: m, unmap } = machine();
      m.saveTables();
      m.resetIts();
      unmap(table, PAGE);
      expect(m.restoreTables()).toBe(EFAULT);
    }
  });

  it('a command that cannot be read is passed over, and so is one whose LPI cannot be configured [R9]', () => {
    const { machine: m, unmap } = machine();
    const queued = m.word(GUEST.QUEUE);
    unmap(GUEST.PROPERTIES, PAGE);
    const events = m.its.mappings.findDevice(DEVICE)!.events;
    // The guest writes through the slot, as the machine's own RAM is not behind it any more.
    const post = (build: (to: Uint32Array) => void): void => {
      const words = new Uint32Array(8);
      build(words);
      const at = Number(m.its64(0x88));
      words.forEach((word, i) => m.vm.memory.write32(GUEST.QUEUE + at + 4 * i, word));
      m.vm.store(m.vcpu(0), GUEST.ITS + 0x88, 8, BigInt((at + 32) % 4096));
    };
    post((to) => encode.mapti(to, DEVICE, 1, 8193, 0));
    expect([events.get(1) !== undefined, m.its64(0x88) === m.its64(0x90)]).toEqual([false, true]);
    unmap(GUEST.QUEUE, PAGE);
    post((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 0));
    expect([events.get(0) !== undefined, m.its64(0x88) === m.its64(0x90), queued]).toEqual([true, true, m.word(GUEST.QUEUE)]);
  });

  it('MAPD asks for a slot, not for the memory behind it: vgic_its_check_id() [R9]', () => {
    const { machine: m, unmap } = machine();
    unmap(GUEST.DEVICES, PAGE);
    const words = new Uint32Array(8);
    encode.mapd(words, 2, 4, GUEST.ITT, true);
    words.forEach((word, i) => m.vm.memory.write32(GUEST.QUEUE + Number(m.its64(0x88)) + 4 * i, word));
    m.vm.store(m.vcpu(0), GUEST.ITS + 0x88, 8, BigInt(Number(m.its64(0x88)) + 32));
    expect(m.its.mappings.findDevice(2)).toBeDefined();
  });

  it('a store to it is not in the dirty log [R9]', () => {
    const { machine: m, unmap } = machine();
    m.vm.memory.logDirty(true);
    unmap(GUEST.RAM + PAGE, PAGE);
    m.vm.store(m.vcpu(0), GUEST.RAM, 4, 1n);
    m.vm.store(m.vcpu(0), GUEST.RAM + PAGE, 4, 1n);
    m.vm.memory.writeBytes(GUEST.RAM + PAGE, new Uint8Array(2 * PAGE));
    expect(m.vm.memory.takeDirty()).toEqual([GUEST.RAM / PAGE, GUEST.RAM / PAGE + 2]);
  });

  it('a range is accessible only with its last byte [R9]', () => {
    const { machine: m, unmap } = machine();
    unmap(GUEST.RAM + PAGE, PAGE);
    expect(m.vm.memory.accessible(GUEST.RAM + PAGE - 4, 8, true)).toBe(false);
    expect(m.vm.memory.accessible(GUEST.RAM + PAGE - 8, 8, true)).toBe(true);
  });
});
