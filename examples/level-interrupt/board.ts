/** A board: an arm64 host with /dev/kvm and a UART behind vfio-platform, and the guest code that serves the UART. What vmm.ts runs on. */
import { Bus, constant, Host, Process, SmmuV3Iommu, Vfio, type ProfileName } from '@vsim/vfio-core';
import { Gic, ItsDriver, Kvm, type Guest, type GuestCpu } from '@vsim/gic-its';
import { IrqLine, PL011, Pl011, PlatformDevice, ResetModules, VfioPlatformDriver } from '@vsim/vfio-platform';

/** Guest physical addresses; at LOG, in RAM, the guest puts each byte that it takes. */
export const AT = { DIST: 0x0800_0000, REDIST: 0x080a_0000, UART: 0x0900_0000, RAM: 0x4000_0000, RAM_BYTES: 0x1_0000, LOG: 0x4000_8000 } as const;
/** What the guest's device tree says of the UART's interrupt: this SPI, level-sensitive. */
export const SPI = 40;
/** Registers of the guest's driver: bytes that it has taken, interrupts with some, interrupts with none. */
export const X = { BYTES: 4, SERVED: 5, IDLE: 6 } as const;
const UART = '9000000.uart';
const RECEIVE = 0x10;
const SPI_BIT = 1 << (SPI % 32);
const [ISENABLER1, ICENABLER1] = [AT.DIST + 0x104, AT.DIST + 0x184];

/** Where the pieces of the guest's code begin. Each ends with the PC of the next, so that a VMM can save the guest between any two accesses. */
const PC = { BOOT: AT.RAM, WAIT: AT.RAM + 4, MASK: AT.RAM + 8, LOOK: AT.RAM + 12, TAKE: AT.RAM + 16, KEEP: AT.RAM + 20, DONE: AT.RAM + 24, UNMASK: AT.RAM + 28 } as const;

/** @param oneshot the guest masks the SPI while it serves it, as Linux does for a threaded handler */
function guest(oneshot: boolean): readonly (readonly [number, (cpu: GuestCpu) => Guest<number>])[] {
  const add = ({ registers }: GuestCpu, x: number): void => { registers.set(x, registers.get(x) + 1n); };
  return [
    [PC.BOOT, function* (cpu) {
      yield* cpu.write32(AT.DIST, 2);
      yield* cpu.write32(ISENABLER1, SPI_BIT);
      cpu.setPriorityMask(0xff);
      cpu.setGroup1(true);
      return PC.WAIT;
    }],
    [PC.WAIT, function* (cpu) {
      let intid = 1023;
      while (intid === 1023) {
        yield* cpu.wfi();
        intid = cpu.acknowledge();
      }
      cpu.registers.set(0, BigInt(intid));
      cpu.registers.set(1, 0n);
      return oneshot ? PC.MASK : PC.LOOK;
    }],
    [PC.MASK, function* (cpu) {
      yield* cpu.write32(ICENABLER1, SPI_BIT);
      return PC.LOOK;
    }],
    [PC.LOOK, function* (cpu) {
      return ((yield* cpu.read32(AT.UART + PL011.MIS)) & RECEIVE) === 0 ? PC.DONE : PC.TAKE;
    }],
    [PC.TAKE, function* (cpu) {
      cpu.registers.set(2, BigInt(yield* cpu.read32(AT.UART + PL011.DR)));
      return PC.KEEP;
    }],
    [PC.KEEP, function* (cpu) {
      yield* cpu.write32(AT.LOG + 4 * Number(cpu.registers.get(X.BYTES)), Number(cpu.registers.get(2)));
      add(cpu, 1);
      add(cpu, X.BYTES);
      return PC.LOOK;
    }],
    [PC.DONE, function* (cpu) {
      yield* cpu.write32(AT.LOG - 4, 0); // a moment between the last look and the end
      add(cpu, cpu.registers.get(1) === 0n ? X.IDLE : X.SERVED);
      cpu.endOfInterrupt(Number(cpu.registers.get(0)));
      return oneshot ? PC.UNMASK : PC.WAIT;
    }],
    [PC.UNMASK, function* (cpu) {
      yield* cpu.write32(ISENABLER1, SPI_BIT);
      return PC.WAIT;
    }],
  ];
}

export interface Board {
  readonly host: Host;
  readonly kvm: Kvm;
  /** Bytes come in by receive(). */
  readonly uart: Pl011;
  /** Whoever runs the VMM: may open /dev/kvm and /dev/vfio. */
  readonly user: Process;
}

/** The host with its drivers; firmware has left the UART's receive interrupt on. */
export function board({ profile, oneshot = false }: { readonly profile?: ProfileName; readonly oneshot?: boolean } = {}): Board {
  const host = new Host({ profile });
  const kvm = new Kvm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 2 })) });
  for (const [pc, piece] of guest(oneshot)) {
    kvm.code.set(BigInt(pc), function* (cpu) {
      cpu.registers.pc = BigInt(yield* piece(cpu));
    });
  }
  const line = new IrqLine(33, 'level-high');
  const uart = new Pl011(line);
  uart.write(PL011.IMSC, 4, RECEIVE);
  const bus = new Bus<PlatformDevice>(host, 'platform');
  const resources = [{ kind: 'mem', start: 0x900_0000, size: 0x1000 }] as const;
  const device = new PlatformDevice(host, { name: UART, resources, irqs: [line], hardware: [uart], firmware: { compatible: ['vsim,uart'] }, msiParent: true });
  bus.announce(device);
  new SmmuV3Iommu(host).addGroup([device]);
  const resets = new ResetModules(new Map([['vsim,uart', () => constant(0)]]));
  host.scheduler.call('modprobe vfio-platform', bus.addDriver(new VfioPlatformDriver(new Vfio(host), { resets })));
  const user = new Process(host, { name: 'vmm' });
  user.writeFile(`/sys/bus/platform/devices/${UART}/driver_override`, 'vfio-platform');
  user.writeFile('/sys/bus/platform/drivers_probe', UART);
  return { host, kvm, uart, user };
}
