/** One store of CWRITER has a bound, whatever the queue holds and however much the guest has mapped. */
import { describe, expect, it } from 'vitest';
import { encode, OPCODE } from '../src/index.ts';
import { GUEST, Machine } from './machine.ts';

const QUEUE = 0x4060_0000;
const STEPS_AT_ONCE = 0x10_0000;

/** LPIs 8192 and on, all of device 1 and collection 0. */
function mapped(lpis: number): Machine {
  const machine = new Machine({ version: 'gicv3', profile: 'linux-6.1' });
  machine.boot();
  machine.command((to) => encode.mapd(to, 1, 15, GUEST.ITT, true));
  for (let n = 0; n < lpis; n += 1) machine.command((to) => encode.mapti(to, 1, n, 8192 + n, 0));
  return machine;
}

/** Posts `count` commands at once. @returns the steps that the store took */
function flood(machine: Machine, count: number, build: (to: Uint32Array, n: number) => void): number {
  const words = new Uint32Array(8);
  for (let n = 0; n < count; n += 1) {
    words.fill(0);
    build(words, n);
    words.forEach((word, i) => machine.ram.write32(QUEUE + 32 * n + 4 * i, word));
  }
  // By a vCPU that does not run: what the queue costs the one that does is counted, too.
  const [, vcpu] = machine.vm.vcpus;
  machine.vm.store(vcpu!, GUEST.ITS, 4, 0n);
  machine.vm.store(vcpu!, GUEST.ITS + 0x80, 8, 0xb800_0000_0000_0400n | BigInt(QUEUE) | 0xffn);
  machine.vm.store(vcpu!, GUEST.ITS, 4, 1n);
  const before = machine.vm.work;
  machine.vm.store(vcpu!, GUEST.ITS + 0x88, 8, BigInt(32 * count));
  return machine.vm.work - before;
}

const creadr = (machine: Machine): bigint => machine.vm.load(machine.vcpu(0), GUEST.ITS + 0x90, 8);

describe('one store of CWRITER', () => {
  it('of INVALLs alone costs each LPI once a vCPU, not once a command [R18]', () => {
    const machine = mapped(4000);
    expect(flood(machine, 8191, (to, n) => encode.invall(to, n % 2))).toBe(2 * 4000 + 8191);
    expect(creadr(machine)).toBe(BigInt(32 * 8191));
  });

  it('INVALL after another command, or after another store, reads the table again [R18]', () => {
    const machine = mapped(2);
    const lpi = machine.vm.lpis.find(8193)!;
    machine.command((to) => encode.invall(to, 0));
    machine.ram.write8(GUEST.PROPERTIES + 1, 0x50);
    machine.command((to) => encode.invall(to, 0));
    expect([lpi.priority, lpi.enabled]).toEqual([0x50, false]);
    // The second INVALL sees what MOVI brought to its vCPU.
    lpi.priority = 0;
    flood(machine, 3, (to, n) => (n === 1 ? encode.movi(to, 1, 1, 1) : encode.invall(to, 1)));
    expect([lpi.target?.id, lpi.priority]).toEqual([1, 0x50]);
  });

  it('INVALL of a handler that ran meanwhile is not taken for one that came before it [R18]', () => {
    const machine = mapped(2);
    const [vcpu] = machine.vm.vcpus;
    machine.command((to) => encode.movi(to, 1, 0, 0));
    machine.ram.write8(GUEST.PROPERTIES, 0x00);
    machine.command((to) => encode.invall(to, 0));
    machine.msi(1, 0);
    vcpu!.onInterrupt = () => {
      vcpu!.endOfInterrupt(vcpu!.acknowledge());
      machine.ram.write8(GUEST.PROPERTIES + 1, 0x51);
      const words = new Uint32Array(8);
      encode.invall(words, 0);
      words.forEach((word, i) => machine.ram.write32(QUEUE + 32 + 4 * i, word));
      machine.vm.store(vcpu!, GUEST.ITS + 0x88, 8, 64n);
    };
    vcpu!.run(0);
    machine.ram.write8(GUEST.PROPERTIES + 1, 0x00);
    machine.ram.write8(GUEST.PROPERTIES, 0xa1);
    flood(machine, 1, (to) => encode.invall(to, 0));
    expect(machine.vm.lpis.find(8193)).toMatchObject({ priority: 0x50, enabled: true });
  });

  const floods: Readonly<Record<string, (to: Uint32Array, n: number) => void>> = {
    'MOVALL to and fro': (to, n) => encode.movall(to, n % 2, (n + 1) % 2),
    'MAPC to and fro': (to, n) => encode.mapc(to, 0, n % 2, true),
    'MAPC and unmap': (to, n) => encode.mapc(to, 1, 1, n % 2 === 0),
    'INVALL and MOVI': (to, n) => (n % 2 === 0 ? encode.invall(to, 0) : encode.movi(to, 1, n % 2000, 0)),
    'INVALL and CLEAR': (to, n) => (n % 2 === 0 ? encode.invall(to, 0) : encode.event(to, OPCODE.CLEAR, 1, 0)),
    'INT of all while a vCPU runs that takes none': (to, n) => encode.event(to, OPCODE.INT, 1, n % 2000),
  };
  for (const [name, build] of Object.entries(floods)) {
    it(`${name}: is put off after so many steps, told, and done by who reads CREADR [R18]`, () => {
      const machine = mapped(2000);
      if (name.startsWith('INT')) machine.vcpu(0).run(0);
      const events = machine.host.trace.record();
      const steps = flood(machine, 2047, build);
      expect([steps >= STEPS_AT_ONCE, steps < STEPS_AT_ONCE + 10_000, events.filter(({ id }) => id === 'kvm/its-queue-deferred').length]).toEqual([true, true, 1]);
      let reads = 0;
      while (creadr(machine) !== BigInt(32 * 2047)) reads += 1;
      expect(reads).toBeLessThan(10);
    });
  }

  it('what was put off is done as time passes when nobody asks [R18]', () => {
    const machine = mapped(2000);
    flood(machine, 2047, (to, n) => encode.movall(to, n % 2, (n + 1) % 2));
    machine.host.scheduler.advance(1e8);
    expect([machine.its64(0x90), machine.vm.lpis.find(8192)!.target?.id, machine.host.scheduler.threads.length]).toEqual([BigInt(32 * 2047), 1, 0]);
  });

  it('what was put off ends with the ITS: disabled, it stands; with the VM it goes [R18]', () => {
    const machine = mapped(2000);
    flood(machine, 2047, (to, n) => encode.movall(to, n % 2, (n + 1) % 2));
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 0n);
    machine.host.scheduler.advance(1e8);
    const stands = machine.its64(0x90);
    expect(stands).not.toBe(BigInt(32 * 2047));
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 1n);
    machine.vm.destroy();
    machine.host.scheduler.advance(1e8);
    expect(machine.host.scheduler.threads).toEqual([]);
  });
});
