/** What one kernel's virtual GIC does otherwise than another's: the rows of the catalogue's part 6.4. */
import { EventFdContext, Host, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { ADDR_TYPE, CTRL, encode, Gic, GRP, ItsDriver, KvmVm } from '../src/index.ts';
import { GUEST, Machine, made, type MachineInit } from './machine.ts';

const DEVICE = 0x10;
const ITT = GUEST.ITT + DEVICE * 0x1000;
const KERNELS = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const;

/** What each kernel answers, in the order of KERNELS. */
function perKernel<T>(run: (profile: ProfileName) => T): T[] {
  return KERNELS.map(run);
}

function booted(profile: ProfileName, init: MachineInit = {}): Machine {
  const machine = new Machine({ version: 'gicv3', profile, ...init });
  machine.boot();
  return machine;
}

describe('kernels', () => {
  it('SAVE_PENDING_TABLES before INIT [gic V-1]', () => {
    const results = perKernel((profile) => {
      const host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
      const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
      vm.createVcpu();
      return made(vm.createVgic()).setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
    });
    expect(results).toEqual([0, -6, -6, -6]);
  });

  it('SAVE_TABLES with a forwarded LPI on GICv4.1 [gic V-2]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile, { version: 'gicv4.1' });
      machine.mapDevice(DEVICE, [8195]);
      const [irq] = machine.driver.allocate(DEVICE, 1, false);
      expect(machine.vector(DEVICE, 0, irq!).connected).toBe(0);
      return machine.saveTables();
    });
    expect(results).toEqual([-13, 0, 0, 0]);
  });

  it('MAPD V=0 and DISCARD write 0 to the entry at once [gic V-3] [gic G48]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.saveTables();
      const dte = GUEST.DEVICES + DEVICE * 8;
      expect([machine.word(dte) !== 0n, machine.word(ITT) !== 0n]).toEqual([true, true]);
      machine.command((to) => encode.event(to, 0x0f, DEVICE, 0));
      machine.command((to) => encode.mapd(to, DEVICE, 0, 0, false));
      return [machine.word(dte) === 0n, machine.word(ITT) === 0n];
    });
    expect(results).toEqual([[false, false], [false, false], [true, true], [true, true]]);
  });

  it('a failed RESTORE_TABLES keeps what it read, or frees everything [gic V-4] [gic K-33]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(1, [8195]);
      machine.mapDevice(2, [8196]);
      machine.saveTables();
      // The second device's event names a collection that there is not.
      machine.setWord(GUEST.ITT + 2 * 0x1000, (8196n << 16n) | 9n);
      machine.resetIts();
      expect(machine.restoreTables()).toBe(-22);
      machine.setIts(0x80, (1n << 63n) | BigInt(GUEST.QUEUE));
      machine.setIts(0, 1n);
      return [machine.msi(1, 0), machine.msi(2, 0)];
    });
    expect(results).toEqual([[1, 0], [1, 0], [0, 0], [0, 0]]);
  });

  it('a DTE with more than 16 EventID bits [gic V-5]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, []);
      machine.saveTables();
      machine.setWord(GUEST.DEVICES + DEVICE * 8, (machine.word(GUEST.DEVICES + DEVICE * 8) & ~0x1fn) | 16n);
      machine.resetIts();
      return machine.restoreTables();
    });
    expect(results).toEqual([0, 0, -22, -22]);
  });

  it('an ITT of 28 EventID bits has no end, one of 29 no bytes: its first entry is read all the same but by 5.13 [gic V-5]', () => {
    const eventsWith = (bits: number): (number | undefined)[] =>
      perKernel((profile) => {
        const machine = booted(profile);
        machine.mapDevice(DEVICE, [8195]);
        machine.saveTables();
        machine.setWord(GUEST.DEVICES + DEVICE * 8, (machine.word(GUEST.DEVICES + DEVICE * 8) & ~0x1fn) | BigInt(bits - 1));
        machine.resetIts();
        return machine.restoreTables() < 0 ? undefined : machine.its.mappings.findDevice(DEVICE)!.events.size;
      });
    expect(eventsWith(28)).toEqual([1, 1, undefined, undefined]);
    expect(eventsWith(29)).toEqual([1, 0, undefined, undefined]);
  });

  it('a DTE whose next is past the end of the table ends it, but leads on with 5.13, also to a DeviceID that has no place', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.saveTables();
      // 65,536 DTEs in 512 KiB.
      const dte = (1n << 63n) | (BigInt(GUEST.ITT) >> 3n);
      machine.setWord(GUEST.DEVICES + 0xfff8 * 8, dte | (0x10n << 49n));
      machine.setWord(GUEST.DEVICES + 0x1_0008 * 8, dte);
      machine.resetIts();
      return [machine.restoreTables(), ...machine.its.mappings.devices.map(({ id }) => id)];
    });
    const ends = [0, 0xfff8];
    expect(results).toEqual([ends, [0, 0xfff8, 0x1_0008], ends, ends]);
  });

  it('a CTE with an ICID beyond the table [gic V-6]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.saveTables();
      // 8192 CTEs in 64 KiB.
      machine.setWord(GUEST.COLLECTIONS, 0x8000_0000_0000_2000n);
      machine.resetIts();
      return machine.restoreTables();
    });
    expect(results).toEqual([0, 0, -22, -22]);
  });

  it('MAPTI wants the ITE\'s page in memory [gic V-7]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.command((to) => encode.mapd(to, DEVICE, 4, 0x7000_0000, true));
      machine.command((to) => encode.mapti(to, DEVICE, 0, 8195, 0));
      return machine.msi(DEVICE, 0);
    });
    expect(results).toEqual([1, 1, 0, 0]);
  });

  it('EnableLPIs 1 to 0 clears the latch of LPIs on the ap_list [gic V-8]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.msi(DEVICE, 0);
      machine.setGicr(0, 0, 0);
      const { pendingLatch, queuedOn } = machine.vm.lpis.find(8195)!;
      expect(queuedOn).toBeUndefined();
      return pendingLatch;
    });
    expect(results).toEqual([true, true, false, true]);
  });

  it('MOVALL moves LPIs of RD1, or every LPI of the VM [gic V-9] [gic G61]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile, { vcpus: 3 });
      machine.mapDevice(DEVICE, [8195, 8196, 8197]);
      machine.command((to) => encode.movall(to, 0, 1));
      return [8195, 8196, 8197].map((lpi) => machine.vm.lpis.find(lpi)!.target!.id);
    });
    expect(results).toEqual([[1, 1, 2], [1, 1, 2], [1, 1, 2], [1, 1, 1]]);
  });

  it('EnableLPIs takes the bits of the pending table in order of creation of the LPIs, since 6.9 of their INTIDs', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile, { vcpus: 1 });
      machine.mapDevice(DEVICE, [8197, 8195, 8196]);
      machine.setGicr(0, 0, 0);
      machine.ram.write8(GUEST.PENDING + 8195 / 8, 0x38);
      machine.setGicr(0, 0, 1);
      return machine.vcpu(0).queue.map(({ intid }) => intid);
    });
    const created = [8197, 8195, 8196];
    expect(results).toEqual([created, created, created, [8195, 8196, 8197]]);
  });

  it('MAPC V=0 with RDbase out of range [gic V-10]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.command((to) => encode.mapc(to, 0, 77, false));
      return machine.msi(DEVICE, 0);
    });
    expect(results).toEqual([1, 1, 1, 0]);
  });

  it('SAVE_TABLES writes 0 for an ITE whose collection was unmapped, where other kernels crash [gic V-11] [gic K-30]', () => {
    const machine = booted('linux-6.1');
    machine.mapDevice(DEVICE, [8195, 8196, 8197]);
    machine.setWord(ITT + 8, ~0n & ((1n << 64n) - 1n));
    machine.command((to) => encode.mapc(to, 1, 1, false));
    expect(machine.saveTables()).toBe(0);
    // The chain still passes it: event 0 leads to event 1.
    expect([machine.word(ITT), machine.word(ITT + 8), machine.word(ITT + 16)]).toEqual([(1n << 48n) | (8195n << 16n), 0n, 8197n << 16n]);
  });

  it('GICR_CTLR.IR and CES, GICD_IIDR.Revision [gic V-12]', () => {
    const results = perKernel((profile) => {
      const machine = new Machine({ version: 'gicv3', profile });
      return [machine.gicr(0, 0), machine.gicd(8)];
    });
    const [old, now] = [[0n, 0x4b00_243bn], [6n, 0x4b00_343bn]];
    expect(results).toEqual([old, old, now, now]);
  });

  it('GICR_INVLPIR and INVALLR of the guest [gic V-13] [gic K-25]', () => {
    for (const [offset, value] of [[0xa0, 8195n], [0xb0, 0n]] as const) {
      const results = perKernel((profile) => {
        const machine = booted(profile);
        machine.mapDevice(DEVICE, [8195]);
        machine.ram.write8(GUEST.PROPERTIES + 3, 0x50);
        machine.vm.store(machine.vcpu(0), GUEST.REDIST + offset, 8, value);
        expect(machine.vm.load(machine.vcpu(0), GUEST.REDIST + 0xc0, 4)).toBe(0n);
        const { enabled, priority } = machine.vm.lpis.find(8195)!;
        return [enabled, priority];
      });
      expect(results).toEqual([[true, 0xa0], [true, 0xa0], [false, 0x50], [false, 0x50]]);
    }
  });

  it('GICR_TYPER.Last as user space reads it; the guest sees it always [gic V-14] [gic K-26]', () => {
    const results = perKernel((profile) => {
      const machine = new Machine({ version: 'gicv3', profile });
      expect([0, 1].map((n) => (machine.vm.load(machine.vcpu(0), GUEST.REDIST + n * 0x2_0000 + 8, 4) >> 4n) & 1n)).toEqual([0n, 1n]);
      return [0, 1].map((n) => (BigInt(machine.gicr(n, 8)) >> 4n) & 1n);
    });
    expect(results).toEqual([[0n, 0n], [0n, 1n], [0n, 1n], [0n, 1n]]);
  });

  it('ITS addresses at the end of the IPA range and beyond [gic V-15] [gic V-16] [gic A-14]', () => {
    const at = (address: bigint) =>
      perKernel((profile) => {
        const machine = new Machine({ version: 'gicv3', profile });
        const its = made(machine.vm.createIts());
        return [its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, address), its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, 0x900_0000)];
      });
    const limit = 1n << 40n;
    const all = (first: number, second: number) => KERNELS.map(() => [first, second]);
    expect(at(0x40_1000n)).toEqual(all(-22, 0));
    expect(at(limit)).toEqual(all(-7, 0));
    expect(at(limit - 0x1_0000n)).toEqual([[0, -17], [0, -17], [-7, 0], [-7, 0]]);
    expect(at(limit - 0x2_0000n)).toEqual(all(0, -17));
    expect(at(0xffff_ffff_ffff_0000n)).toEqual([[-7, 0], [-7, 0], [-22, 0], [-22, 0]]);
  });

  it('GICD_IIDR as user space may write it [gic V-17] [gic A-29]', () => {
    const results = perKernel((profile) => {
      const machine = new Machine({ version: 'gicv3', profile });
      const written = [0x4b00_143b, 0x4b00_243b, 0x4b00_343b, 0x4b00_443b, 0x4b00_3426].map((value) => machine.setGicd(8, value));
      machine.setGicd(8, 0x4b00_243b);
      return [...written, machine.gicd(8), machine.gicr(0, 0)];
    });
    const old = [-22, 0, -22, -22, -22, 0x4b00_243bn, 0n];
    const now = [-22, 0, 0, -22, -22, 0x4b00_243bn, 0n];
    expect(results).toEqual([old, old, now, now]);
  });

  it('the translation cache: 16 for each vCPU, one for the VM; then as many as there are, one for each ITS [gic V-19] [gic K-14]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile, { vcpus: 1 });
      machine.command((to) => encode.mapd(to, DEVICE, 4, ITT, true));
      for (let n = 0; n < 20; n += 1) {
        machine.command((to) => encode.mapti(to, DEVICE, n, 8200 + n, 0));
        machine.msi(DEVICE, n);
      }
      const filled = machine.vm.cache.size;
      const other = made(machine.vm.createIts());
      other.setAttr(GRP.ADDR, ADDR_TYPE.ITS, 0x900_0000);
      other.setAttr(GRP.ITS_REGS, 0, 0n);
      return [filled, machine.vm.cache.size];
    });
    expect(results).toEqual([[16, 0], [16, 0], [16, 0], [20, 20]]);
  });

  it('an interrupt that is forwarded already: VMOVI to where it is, or left alone [gic V-20]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile, { version: 'gicv4.1' });
      machine.mapDevice(DEVICE, [8195]);
      const [irq] = machine.driver.allocate(DEVICE, 1, false);
      const { gsi } = machine.vector(DEVICE, 0, irq!);
      // A second eventfd for the same interrupt and route.
      const token = new EventFdContext('another');
      machine.vm.irqfd(token, gsi);
      const events = machine.host.trace.record();
      expect(machine.bypass.registerProducer({ token, irq: irq! })).toBe(0);
      return events.map(({ fields }) => (fields as { name: string }).name);
    });
    const moved = ['VMOVI', 'VSYNC'];
    expect(results).toEqual([moved, moved, moved, []]);
  });

  it('a lazily mapped vPE of GICv4.0 that is mapped again: on the first CPU, or where it was [gic V-21]', () => {
    const results = perKernel((profile) => {
      const host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
      const gic = new Gic(host, { version: 'gicv4', cpus: 2, its: [0x1000_0000, 0x1010_0000], choices: { vmovpOnce: false } });
      const driver = new ItsDriver(host, gic);
      const [vpe] = made(driver.createVm(1)).vpes;
      const [irq] = driver.allocate(DEVICE, 1, false);
      const map = (): number => irq!.mapVlpi({ vpe: vpe!, vintid: 8200, properties: 0xa3, doorbell: true });
      vpe!.requestDoorbell();
      const early = vpe!.setAffinity(1);
      map();
      vpe!.setAffinity(1);
      irq!.unmapVlpi();
      map();
      return [early, vpe!.cpu];
    });
    expect(results).toEqual([[-22, 0], [-22, 0], [-22, 0], [0, 1]]);
  });

  it('GICR restored after RESTORE_TABLES: -EFAULT, collections stay or nothing does [gic V-22]', () => {
    const results = perKernel((profile) => {
      const here = booted(profile);
      here.mapDevice(DEVICE, [8195]);
      here.saveTables();
      const there = new Machine({ version: 'gicv3', profile, ram: here.ram });
      there.setTables();
      const restored = there.restoreTables();
      return [restored, there.its.mappings.collections.length, there.its.mappings.devices.length];
    });
    expect(results).toEqual([[-14, 2, 0], [-14, 2, 0], [-14, 0, 0], [-14, 0, 0]]);
  });
});
