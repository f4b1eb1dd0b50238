/** A host with one PCI function that has MSI-X, and guest code for its KVM: what vmm.ts runs on. */
import { Host, IrqBypassManager, Process, SmmuV3Iommu, Vfio } from '@vsim/vfio-core';
import { encode, Gic, ItsDriver, Kvm, type Guest, type GuestCpu } from '@vsim/gic-its';
import { buildConfig, PciBus, PciFunction, VfioPciDriver } from '@vsim/vfio-pci';

// #region at
/** Guest physical addresses, and how the guest knows the device. */
export const AT = { DIST: 0x0800_0000, ITS: 0x0808_0000, REDIST: 0x080a_0000, UART: 0x0900_0000, RAM: 0x4000_0000, RAM_BYTES: 0x40_0000 } as const;
export const DEVICE = 8;
export const LPI = 8195;
const { DIST, ITS, REDIST, UART, RAM } = AT;
// #endregion at

// #region boot
/** The guest's kernel: brings up LPIs and the ITS, maps the device's event 0, and branches to idle(). */
function* boot(cpu: GuestCpu): Guest {
  for (let lpi = 0; lpi < 64; lpi += 4) yield* cpu.write32(RAM + 0x2_0000 + lpi, 0xa1a1_a1a1); // properties: enabled, priority 0xa0
  yield* cpu.write32(DIST, 2);
  for (const [at, value] of [[0x70, 0x4002_078dn], [0x78, 0x4008_0780n], [0x0, 1n]] as const) yield* cpu.store(REDIST + at, at === 0 ? 4 : 8, value);
  for (const [at, value] of [[0x80, 0x4001_0400n], [0x100, 0x4010_0607n], [0x108, 0x4003_0600n]] as const) yield* cpu.store(ITS + at, 8, 0xb800_0000_0000_0000n | value);
  yield* cpu.write32(ITS, 1);
  const words = new Uint32Array(24);
  encode.mapc(words.subarray(0, 8), 0, 0, true);
  encode.mapd(words.subarray(8, 16), DEVICE, 4, RAM + 0x20_0000, true);
  encode.mapti(words.subarray(16, 24), DEVICE, 0, LPI, 0);
  for (const [n, word] of words.entries()) yield* cpu.write32(RAM + 0x1_0000 + 4 * n, word);
  yield* cpu.store(ITS + 0x88, 8, 96n);
  cpu.setPriorityMask(0xff);
  cpu.setGroup1(true);
  cpu.registers.pc = BigInt(RAM + 4);
}
// #endregion boot

// #region idle
/** Waits for interrupts, and tells the VMM of each by a store to the UART. */
function* idle(cpu: GuestCpu): Guest {
  for (;;) {
    yield* cpu.wfi();
    const intid = cpu.acknowledge();
    if (intid !== 1023) yield* cpu.write32(UART, intid);
    cpu.endOfInterrupt(intid);
  }
}
// #endregion idle

// #region machine
/** A host with one PCI function that has MSI-X, bound to vfio-pci. */
export function machine(): { readonly user: Process; readonly raise: () => void } {
  const host = new Host();
  const [driver, irqBypass] = [new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 2 })), new IrqBypassManager()];
  const kvm = new Kvm(host, { driver, irqBypass });
  kvm.code.set(BigInt(RAM), boot).set(BigInt(RAM + 4), idle);
  const bus = new PciBus(host, { msi: driver, iommu: new SmmuV3Iommu(host) });
  const bars = [{ index: 0, size: 0x1000 }] as const;
  const device = new PciFunction(host, { address: '0000:00:01.0', bars, config: buildConfig({ vendor: 0x1234, device: 1, class: 0xff0000, bars, msix: { vectors: 1, bar: 0, pbaOffset: 0x800 } }) });
  bus.plug(device);
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host), { bypass: irqBypass })));
  const user = new Process(host);
  user.writeFile('/sys/bus/pci/devices/0000:00:01.0/driver_override', 'vfio-pci');
  user.writeFile('/sys/bus/pci/drivers_probe', '0000:00:01.0');
  const raise = (): void => {
    device.raise(0);
    host.scheduler.settle(); // whoever it woke runs
  };
  return { user, raise };
}
// #endregion machine
