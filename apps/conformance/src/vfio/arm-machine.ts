/**
 * The arm64 machine of the platform recordings: an SMMUv3 or none, platform and AMBA devices from its device tree, two PCI functions, RAM that
 * stands for registers. recordings/vfio-platform/README.md tells what there is.
 */
import { ApicMsi, Bus, Host, PhysicalMemory, SmmuV3Iommu, Vfio, type Device, type MmioDevice, type Process, type ProfileName, type Sleeps } from '@vsim/vfio-core';
import { VfioPciDriver, importPciMachine, type PciBus } from '@vsim/vfio-pci';
import { AmbaBus, IrqLine, Pl031, Pl061, PlatformDevice, type ResetModules, VfioAmbaDriver, VfioPlatformDriver, type PlatformInterrupt, type PlatformResource, type Trigger } from '@vsim/vfio-platform';
import type { Fields } from '../json.ts';
import { deviceOf, textOrNull } from '../recorded-machine.ts';
import { installedResets } from './arm-modules.ts';
import { openDevice } from './open-device.ts';

const RAM = [{ base: 0x4000_0000, size: 0x4000_0000 }];
/** RAM that the kernel does not know: registers that hold what is written. */
const REGISTERS = { base: 0x8000_0000, size: 0x400_0000 };
const GPIO = { base: 0x903_0000, size: 0x1000, spi: 7 };
const CLOCK = { base: 0x901_0000, size: 0x1000, spi: 2 };
const VIRTIO = { base: 0xa00_0000, size: 0x200 };
const VIRTIO_MAGIC = 0x7472_6976;
const FIRST_SPI = 32;
const READ_ONLY = 0x4000;
const TRIGGERS: readonly Trigger[] = ['edge-rising', 'edge-falling', 'level-high', 'level-low', 'none'];

export class ArmMachine {
  readonly host: Host;
  readonly vfio: Vfio;
  readonly platform: Bus<PlatformDevice>;
  readonly amba: AmbaBus;
  readonly pci: PciBus;
  readonly platformDriver: VfioPlatformDriver;
  readonly ambaDriver: VfioAmbaDriver;
  readonly resets: ResetModules = installedResets();
  readonly registers: Registers = new Registers();
  readonly #recorded: Fields;
  readonly #lines = new Map<number, IrqLine>();
  readonly #smmu: SmmuV3Iommu | undefined;

  /** @param made hears of the host before anything is in it @throws MalformedRecording */
  constructor(header: Fields, recorded: Fields, profile: ProfileName, made?: (host: Host) => void) {
    this.#recorded = recorded;
    this.host = new Host({ profile, ram: RAM });
    const { host } = this;
    made?.(host);
    this.vfio = new Vfio(host);
    const parameter = (name: string): string => header.object('parameters').string(name);
    this.vfio.noiommu = parameter('vfio.enable_unsafe_noiommu_mode') === 'Y';
    this.vfio.type1.dmaEntryLimit = Number(parameter('vfio_iommu_type1.dma_entry_limit'));
    this.platform = new Bus(host, 'platform');
    this.amba = new AmbaBus(host);
    const { resets } = this;
    this.platformDriver = new VfioPlatformDriver(this.vfio, { resets, resetRequired: parameter('vfio_platform.reset_required') === 'Y' });
    this.ambaDriver = new VfioAmbaDriver(this.vfio, { resets });
    host.memory.map(REGISTERS.base, REGISTERS.size, this.registers);
    host.memory.map(GPIO.base, GPIO.size, new Pl061(this.line(GPIO.spi)));
    host.memory.map(CLOCK.base, CLOCK.size, new Pl031(host, this.line(CLOCK.spi)));
    host.memory.map(VIRTIO.base, VIRTIO.size, new VirtioRegisters());
    const machine = recorded.string('machine');
    this.#smmu = machine === 'nosmmu' ? undefined : new SmmuV3Iommu(host, { coherent: machine !== 'noncoherent' });
    this.pci = this.#populate();
    host.scheduler.call('boot', this.#boot(header));
    this.vfio.type1.allowUnsafeInterrupts = parameter('vfio_iommu_type1.allow_unsafe_interrupts') === 'Y';
  }

  /** The line of an SPI. */
  line(spi: number): IrqLine {
    const line = this.#lines.get(spi) ?? new IrqLine(spi + FIRST_SPI, 'none');
    this.#lines.set(spi, line);
    return line;
  }

  platformDevice(name: string): PlatformDevice | undefined {
    return this.platform.device(name) ?? this.amba.device(name);
  }

  device(name: string): { readonly bus: Bus<PlatformDevice> | PciBus; readonly device: Device } | undefined {
    for (const bus of [this.platform, this.amba, this.pci]) {
      const device = bus.device(name);
      if (device !== undefined) return { bus, device };
    }
    return undefined;
  }

  /** What the recorder did before the first scenario of a group: each device is bound, opened and closed once. Then the header's state. */
  warmUp(header: Fields, process: Process): void {
    const names = this.#recorded.object('devices').keys;
    this.#clearRegisters();
    if (!header.has('cold')) for (const name of names) openDevice(this, process, name);
    // Devices that have no group are opened by scenarios that went before, in their order.
    if (!header.has('cold')) for (const name of names) this.platform.device(name)?.mapLines();
    this.#clearRegisters();
    this.#setStates(header.object('state'));
  }

  /** Groups that devices have got since come in the order of their numbers. */
  #setStates(states: Fields): void {
    const group = (name: string): number => Number(textOrNull(states.object(name), 'iommu_group') ?? Infinity);
    for (const name of [...states.keys].sort((a, b) => group(a) - group(b) || 0)) {
      const state = states.object(name);
      const { device } = this.device(name) ?? states.fail(name, 'a device of the machine');
      device.driverOverride = textOrNull(state, 'driver_override') ?? undefined;
      if (group(name) !== Infinity && device.iommuGroup === undefined) device.configureDma?.();
    }
  }

  #clearRegisters(): void {
    this.registers.clear();
    const initial = this.#recorded.object('initial');
    for (const address of initial.keys) this.host.memory.writeBytes(Number(address), initial.bytes(address));
  }

  /** Every device, where groups come with them in the order of their groups. @returns the PCI bus */
  #populate(): PciBus {
    const devices = this.#recorded.object('devices');
    const others = new Map<string, number>();
    const groups = this.#recorded.object('iommu_groups');
    for (const id of groups.keys) for (const name of groups.object(id).list('devices')) if (typeof name === 'string' && !devices.has(name)) others.set(name, Number(id));
    const order = [...devices.keys, ...others.keys()];
    if (this.host.profile.groupsWithDevices) {
      const group = (name: string): number => others.get(name) ?? Number(devices.object(name).raw('iommu_group') ?? Infinity);
      order.sort((a, b) => group(a) - group(b) || 0);
    }
    let pci: PciBus | undefined;
    for (const name of order) {
      // Devices that no scenario uses: they have the groups that they had.
      if (!devices.has(name)) this.#smmu?.addGroup([], others.get(name));
      else if (devices.object(name).string('bus') === 'pci') pci ??= this.#importPci(devices);
      else this.#announce(name, devices.object(name));
    }
    return pci ?? this.#importPci(devices);
  }

  #importPci(devices: Fields): PciBus {
    const functions = devices.keys.filter((name) => devices.object(name).string('bus') === 'pci');
    const described = Object.fromEntries(functions.map((name) => [name, { ...deviceOf(devices.object(name)), iommu_group: undefined }]));
    // No recording of this machine uses an interrupt of a PCI function.
    return importPciMachine(this.host, { devices: described }, { msi: new ApicMsi(this.host), iommu: this.#smmu });
  }

  #announce(name: string, recorded: Fields): void {
    const amba = recorded.string('bus') === 'amba';
    const property = recorded.raw('periphid_property');
    const compatible = recorded.raw('compatible') === null ? undefined : recorded.list('compatible').filter((text) => typeof text === 'string');
    const device = new PlatformDevice(this.host, {
      name,
      resources: recorded.objects('resources').map(resourceOf),
      irqs: recorded.objects('interrupts').map((interrupt) => this.#interruptOf(interrupt)),
      firmware: { compatible },
      peripheralId: amba ? (typeof property === 'number' ? property : 'registers') : undefined,
    });
    if (recorded.raw('iommu_stream') !== null) this.#smmu?.addMaster(device, recorded.number('iommu_stream'));
    (amba ? this.amba : this.platform).announce(device);
  }

  #interruptOf(interrupt: Fields): PlatformInterrupt {
    const text = interrupt.string('trigger');
    const trigger = TRIGGERS.find((each) => each === text) ?? interrupt.fail('trigger', `one of ${TRIGGERS.join(', ')}`);
    return { line: this.line(interrupt.number('spi')), trigger };
  }

  *#boot(header: Fields): Sleeps<void> {
    for (const module of header.list('modules')) if (typeof module === 'string') this.resets.load(module);
    yield* this.platform.addDriver(this.platformDriver);
    yield* this.amba.addDriver(this.ambaDriver);
    yield* this.pci.addDriver(new VfioPciDriver(this.vfio));
  }
}

function resourceOf(resource: Fields): PlatformResource {
  const kind = resource.string('kind');
  if (kind !== 'mem' && kind !== 'io' && kind !== 'bus') return resource.fail('kind', 'mem, io or bus');
  return { kind, start: resource.number('start'), size: resource.number('size'), readOnly: (resource.number('flags') & READ_ONLY) !== 0 };
}

/** Registers that hold what is written to them. */
export class Registers implements MmioDevice {
  #memory = newMemory();

  read(offset: number, width: number): number {
    if (width === 1) return this.#memory.read8(offset);
    return width === 2 ? this.#memory.read16(offset) : this.#memory.read32(offset);
  }

  write(offset: number, width: number, value: number): void {
    if (width === 1) this.#memory.write8(offset, value);
    else if (width === 2) this.#memory.write16(offset, value);
    else this.#memory.write32(offset, value);
  }

  clear(): void {
    this.#memory = newMemory();
  }
}

/** A virtio device of which only the first register is used, which says so: `virt`. */
class VirtioRegisters implements MmioDevice {
  read(offset: number, width: number): number {
    return (offset === 0 && width === 4 ? VIRTIO_MAGIC : 0) >>> 0;
  }

  write(): void {
    // No scenario writes.
  }
}

function newMemory(): PhysicalMemory {
  return new PhysicalMemory([{ base: 0, size: REGISTERS.size }]);
}
