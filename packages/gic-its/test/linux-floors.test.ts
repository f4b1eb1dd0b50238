/**
 * What an unmodified Linux was seen to write to this GIC, by kernel (ids D: reference notes on Linux). The recordings themselves are replayed in
 * apps/conformance.
 */
import { Host, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, GICR, GITS, ItsDriver, type ItsIrq } from '../src/index.ts';
import { GUEST, Machine, takeAll } from './machine.ts';
import { DEVICE, forwarded, KERNELS, LPI, seen, SGI_FRAME } from './seen.ts';

describe('physical LPIs', () => {
  it('[D1] MAPD V=0 names the ITT and its size as MAPD V=1 did', () => {
    const machine = new Machine({ version: 'gicv3' });
    const { words } = seen(machine, () => machine.driver.release(DEVICE, machine.driver.allocate(DEVICE, 5, false)));
    const mapd = words.filter(([word = 0n]) => (word & 0xffn) === 8n);
    expect(mapd.map((command) => [command[1], (command[2] ?? 0n) >> 63n])).toEqual([[2n, 1n], [2n, 0n]]);
    expect((mapd[1]?.[2] ?? 0n) & 0xf_ffff_ffff_ff00n).toBe((mapd[0]?.[2] ?? 0n) & 0xf_ffff_ffff_ff00n);
  });

  it('[D2] MOVI is synchronised with the collection that loses the event', () => {
    const machine = new Machine({ version: 'gicv3' });
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const { commands, words } = seen(machine, () => irq!.setAffinity(1));
    expect(commands).toEqual(['MOVI', 'SYNC']);
    expect([words[0]![2], (words[1]![2] ?? 0n) >> 16n]).toEqual([1n, 0n]);
  });

  it('a device takes as many LPIs as it has MSIs, rounded up, and no ITT of less than two entries', () => {
    const machine = new Machine({ version: 'gicv3' });
    const before = machine.driver.freeLpis;
    machine.driver.allocate(DEVICE, 1, false);
    expect(machine.driver.freeLpis).toBe(before - 1);
    machine.driver.allocate(0x20, 3, false);
    expect(machine.driver.freeLpis).toBe(before - 5);
  });

  it('[D11] 7.3 keeps the ITT and the LPIs over MSIs off and on, until more are wanted', () => {
    const machine = new Machine({ version: 'gicv3', profile: 'linux-7.3' });
    const { driver } = machine;
    const first = driver.allocate(DEVICE, 2, false);
    const { lpi } = first[0]!;
    expect(seen(machine, () => driver.release(DEVICE, first)).commands).not.toContain('MAPD');
    let again: readonly ItsIrq[] = [];
    expect(seen(machine, () => (again = driver.allocate(DEVICE, 1, false))).commands).toEqual(['MAPTI', 'SYNC']);
    expect(again[0]!.lpi).toBe(lpi);
    driver.release(DEVICE, again);
    expect(seen(machine, () => driver.allocate(DEVICE, 4, false)).commands.slice(0, 2)).toEqual(['MAPD', 'MAPD']);
    const old = new Machine({ version: 'gicv3', profile: 'linux-6.12' });
    expect(seen(old, () => old.driver.release(DEVICE, old.driver.allocate(DEVICE, 1, false))).commands.at(-1)).toBe('MAPD');
  });
});

describe('several ITSs', () => {
  const two = { its: [0x0808_0000, 0x0900_0000], vcpus: 1 } as const;

  it('[D3] the ITS that was probed last comes first: VMAPP with Alloc, VMOVP, INVDB and GITS_SGIR', () => {
    const machine = new Machine(two);
    machine.boot();
    const [vpe] = machine.vm.itsVm!.vpes;
    const { commands, words } = seen(machine, () => {
      vpe!.freeDoorbell();
      vpe!.requestDoorbell();
    });
    const vmapps = commands.flatMap((name, n) => (name.endsWith('VMAPP') ? [`${name} alloc=${((words[n]?.[0] ?? 0n) >> 8n) & 1n}`] : []));
    expect(vmapps).toEqual(['1:VMAPP alloc=0', '0:VMAPP alloc=1', '1:VMAPP alloc=1', '0:VMAPP alloc=0']);
    expect(commands.filter((name) => name.endsWith('INVDB'))).toEqual(['1:INVDB', '1:INVDB']);
    expect(seen(machine, () => vpe!.setAffinity(1)).commands).toEqual(['1:VMOVP', '1:VSYNC']);
    const sgir: number[] = [];
    const { memory } = machine.host;
    const write64 = memory.write64.bind(memory);
    memory.write64 = (address, lo, hi, requester): void => {
      const its = machine.gic.its.findIndex(({ base }) => address === base + GITS.SGIR);
      if (its >= 0) sgir.push(its);
      write64(address, lo, hi, requester);
    };
    vpe!.sgis.setPending(3, true);
    memory.write64 = write64;
    expect(sgir).toEqual([1]);
  });

  it('[D3] a device stays behind its own ITS', () => {
    const machine = new Machine(two);
    expect(seen(machine, () => machine.driver.allocate(DEVICE, 1, false)).commands).toEqual(['0:MAPD', '0:MAPTI', '0:SYNC']);
  });
});

describe('probing', () => {
  it('[D6] an ITS of GICv4 has implicit doorbells enabled, and redistributors take InnerCache from GITS_BASER2', () => {
    for (const [version, ctlr] of [['gicv3', 1], ['gicv4', 3], ['gicv4.1', 3]] as const) {
      const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
      const gic = new Gic(host, { version, cpus: 1 });
      const stored: number[] = [];
      const { memory } = host;
      const write32 = memory.write32.bind(memory);
      memory.write32 = (address, value, requester): void => {
        if (address === gic.its[0]!.base + GITS.CTLR) stored.push(value);
        write32(address, value, requester);
      };
      expect(new ItsDriver(host, gic).nodes.length).toBe(1);
      expect(stored).toEqual([ctlr]);
      if (version === 'gicv4.1') expect((memory.read32(gic.redistributorBase[0]! + GICR.VPROPBASER) >>> 7) & 7).toBe(7);
    }
  });
});

describe('residency', () => {
  it('[D5] GICv4.0: IDAI with the first, memory attributes, CLRLPIR after it; the doorbell is masked only if it was enabled, and enabled before Valid goes', () => {
    const { machine } = forwarded({ version: 'gicv4', choices: { directLpi: true } });
    const vcpu = machine.vcpu(0);
    const order: string[] = [];
    const names = new Map<number, string>([[GICR.VPENDBASER, 'VPENDBASER'], [GICR.VPROPBASER, 'VPROPBASER'], [GICR.INVLPIR, 'INVLPIR'], [GICR.CLRLPIR, 'CLRLPIR']]);
    const { memory } = machine.host;
    const write64 = memory.write64.bind(memory);
    memory.write64 = (address, lo, hi, requester): void => {
      const name = names.get(address - machine.gic.redistributorBase[0]!);
      if (name?.startsWith('VP') === true) order.push(`${name} ${(hi >>> 29).toString(2)} 0x${(lo & 0xfff).toString(16)}`);
      else if (name !== undefined) order.push(name);
      write64(address, lo, hi, requester);
    };
    vcpu.run(0);
    expect(order.splice(0)).toEqual(['VPROPBASER 0 0x58f', 'VPENDBASER 111 0x780', 'CLRLPIR']);
    vcpu.wfi();
    expect(order.splice(0)).toEqual(['INVLPIR', 'VPENDBASER 11 0x780']);
    vcpu.stop();
    expect(order.splice(0).slice(0, 3)).toEqual(['INVLPIR', 'VPROPBASER 0 0x58f', 'VPENDBASER 111 0x780']);
    vcpu.run(0);
    expect(order[0]).toBe('VPROPBASER 0 0x58f');
    memory.write64 = write64;
    vcpu.stop();
    // Of the device's interrupt alone: no doorbell is enabled.
    expect(seen(machine, () => machine.vm.destroy(), GICR.INVLPIR).stores.length).toBe(1);
  });

  it('[D5] GICv4.0 without DirectLPI: a doorbell that still waits rings as it is enabled, is masked by its handler, and enabled once more', () => {
    const { machine, vectors } = forwarded({ version: 'gicv4' });
    const vcpu = machine.vcpu(0);
    machine.raise(vectors[0]!);
    vcpu.run(0);
    expect(takeAll(vcpu)).toEqual([LPI]);
    expect(seen(machine, () => { vcpu.wfi(); }, GICR.INVLPIR).stores.length).toBe(3);
    expect(vcpu.state).toBe('blocked');
    machine.raise(vectors[0]!);
    expect(vcpu.state).toBe('running');
  });

  it('[D7] a vCPU that is put leaves its redistributor before its CPU interface', () => {
    const { machine } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    const enabled: bigint[] = [];
    const { memory } = machine.host;
    const write64 = memory.write64.bind(memory);
    memory.write64 = (address, lo, hi, requester): void => {
      if (address === machine.gic.redistributorBase[0]! + GICR.VPENDBASER) enabled.push(machine.gic.cpu(0).virtual.read('ICH_HCR_EL2') & 1n);
      write64(address, lo, hi, requester);
    };
    vcpu.stop();
    memory.write64 = write64;
    expect([...enabled, machine.gic.cpu(0).virtual.read('ICH_HCR_EL2') & 1n]).toEqual([1n, 0n]);
  });

  it('[D8] WFI with something signalled is over at once: no put, no doorbell; masked by priority it is trapped', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    machine.raise(vectors[0]!);
    expect(seen(machine, () => { vcpu.wfi(); }, GICR.VPENDBASER).stores).toEqual([]);
    vcpu.setPriorityMask(0x80);
    expect(seen(machine, () => { vcpu.wfi(); }, GICR.VPENDBASER).stores.length).toBe(2);
    expect(vcpu.state).toBe('running');
  });

  it('a vCPU that is signalled while it sleeps is loaded once more before it leaves', () => {
    const { machine } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.wfi();
    expect(vcpu.state).toBe('blocked');
    expect(seen(machine, () => { vcpu.stop(); }, GICR.VPENDBASER).stores.map((store) => store.slice(0, 5))).toEqual(['0:0x8', '0:0x2']);
    expect([vcpu.state, machine.driver.cpus.guests[0]]).toEqual(['stopped', undefined]);
  });

  it('VSYNC after VMAPP V=0 of GICv4.1 is of the kernels before 6.9', () => {
    const last = KERNELS.map((profile) => {
      const { machine } = forwarded({ profile, vcpus: 1 });
      return seen(machine, () => machine.vm.destroy()).commands.at(-1);
    });
    expect(last).toEqual(['VSYNC', 'VSYNC', 'VMAPP', 'VMAPP', 'VMAPP']);
  });
});

describe('vSGIs by the count of disables', () => {
  function takenOver(profile: ProfileName): { machine: Machine; sent: (offset: number, value: bigint) => string[] } {
    const machine = new Machine({ profile });
    machine.boot();
    machine.vm.store(machine.vcpu(0), SGI_FRAME + 0x80, 4, 0xffff_ffffn);
    machine.vm.store(machine.vcpu(0), SGI_FRAME + 0x100, 4, 0xffffn);
    machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, 0n);
    machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, 0x102n);
    const sent = (offset: number, value: bigint): string[] => {
      const { commands, words } = seen(machine, () => { machine.vm.store(machine.vcpu(0), SGI_FRAME + offset, 4, value); });
      return words.flatMap(([word = 0n], n) => (commands[n] === 'VSGI' ? [`${(word >> 32n) & 0xfn} E=${(word >> 8n) & 1n}`] : []));
    };
    return { machine, sent };
  }

  it.each(KERNELS)('[D4] [K3] %s: enabled bits send nothing, nor does the first disable, so that the SGI is delivered all the same', (profile) => {
    const { machine, sent } = takenOver(profile);
    expect(sent(0x100, 0xffffn)).toEqual([]);
    expect(sent(0x180, 0x200n)).toEqual([]);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.sendSgi((9n << 24n) | 1n);
    expect(vcpu.acknowledge()).toBe(9);
    vcpu.endOfInterrupt(9);
    // Enabled once more, it can be disabled.
    expect(sent(0x100, 0x200n)).toEqual(['9 E=1']);
    expect(sent(0x180, 0x200n)).toEqual(['9 E=0']);
    vcpu.sendSgi((9n << 24n) | 1n);
    expect(vcpu.acknowledge()).toBe(1023);
  });

  it('[D4] user space writes enables without telling the hardware', () => {
    const { machine, sent } = takenOver('linux-6.1');
    sent(0x180, 0xffffn);
    sent(0x100, 0xffffn);
    expect(seen(machine, () => machine.setGicr(0, 0x1_0180, 0xffff)).commands).toEqual([]);
    expect(machine.gicr(0, 0x1_0100)).toBe(0n);
  });
});
