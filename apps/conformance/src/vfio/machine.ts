/** The host of one scenario: the recorded machine, moved to the state that the scenario's header tells. */
import { ApicMsi, constant, File, Host, O_RDWR, Process, Vfio, VtdIommu, type ProfileName, type Sleeps } from '@vsim/vfio-core';
import {
  NativeDriver,
  PciStub,
  PciePort,
  VfioPciDriver,
  importPciMachine,
  PciBus,
  pciId,
  write32,
  type PciDevice,
  type PciDriver,
  type PciMachineDescription,
  type RecordedDevice,
} from '@vsim/vfio-pci';
import { MdevBus } from '@vsim/mdev';
import { fromHex, toHex, type Fields } from '../json.ts';
import { deviceOf, textOrNull } from '../recorded-machine.ts';
import { SampleModules } from './sample-modules.ts';
import { ArmMachine } from './arm-machine.ts';
import type { FslMcMachine } from './fslmc-machine.ts';

/** The guest's RAM below the devices, as its /proc/iomem has it, in whole chunks. */
const RAM = [{ base: 0x10_0000, size: 0x9feb_0000 }];

const ANY = 0xffff_ffff;

/** The kernel's own drivers that the recordings load, as far as binding goes. */
const NATIVE: ReadonlyMap<string, (profile: ProfileName) => PciDriver> = new Map(Object.entries<(profile: ProfileName) => PciDriver>({
  'virtio-pci': () => new NativeDriver('virtio-pci', { ids: Array.from({ length: 0x80 }, (_, i) => pciId(0x1af4, 0x1000 + i)) }),
  virtio_pci: () => new NativeDriver('virtio-pci', { ids: Array.from({ length: 0x80 }, (_, i) => pciId(0x1af4, 0x1000 + i)) }),
  serial: () => new NativeDriver('serial', { ids: [pciId(ANY, ANY, 0x07_0000, 0xff_ff00)] }),
  e1000: () => new NativeDriver('e1000', { ids: [pciId(0x8086, 0x100e)] }),
  e1000e: (profile) => new NativeDriver('e1000e', { ids: [pciId(0x8086, 0x10d3)], vectors: 5, leavesSavedState: profile === 'linux-6.12' }),
  igb: () => new NativeDriver('igb', { ids: [pciId(0x8086, 0x10c9)], vectors: 3, sriov: 'taken-away' }),
  igbvf: () => new NativeDriver('igbvf', { ids: [pciId(0x8086, 0x10ca)], vectors: 3 }),
  pcieport: () => new PciePort(),
  'pci-stub': () => new PciStub(),
}));

export interface Machine {
  readonly host: Host;
  readonly bus: PciBus;
  readonly process: Process;
  /** What can be loaded, where the module mdev is. */
  readonly samples: SampleModules | undefined;
  /** Platform and AMBA devices, where the machine is an arm64 one. */
  readonly arm?: ArmMachine | undefined;
  /** The Management Complex and Linux's bus, where the machine has them. */
  readonly fslmc?: FslMcMachine | undefined;
}

/** Standard input, output and error; and a file that is nothing else. */
class Console extends File {
  override readonly label = '/dev/console';

  protected override *release(): Sleeps<void> {
    // Nothing to let go of.
  }
}

/** What a device is at the scenario's start. */
interface DeviceState {
  readonly recorded: RecordedDevice;
  readonly driver: string | null;
  readonly driverOverride: string | undefined;
}

/** Builds the machine of a scenario. @param made hears of its host before anything is in it @throws MalformedRecording */
export function buildMachine(header: Fields, recorded: Fields, profile: ProfileName, made?: (host: Host) => void): Machine {
  if (recorded.has('arch')) {
    const arm = new ArmMachine(header, recorded, profile, made);
    const process = recorder(arm.host);
    arm.host.files.add('/dev/null', { kind: 'device', mode: 0o666, open: () => constant(new Console()) });
    arm.warmUp(header, process);
    return { host: arm.host, bus: arm.pci, process, samples: undefined, arm };
  }
  const states = deviceStates(header, recorded);
  const host = new Host({ profile, ram: RAM });
  made?.(host);
  const description: PciMachineDescription = {
    devices: Object.fromEntries([...states].map(([address, { recorded: device }]) => [address, device])),
  };
  // Debian's 7.3 is built without CONFIG_VFIO_NOIOMMU.
  const vfio = new Vfio(host, { noiommuBuilt: profile !== 'linux-7.3' });
  // The recording machine's interrupt controller is the emulator's: a line that is up already makes no edge.
  const bus = importPciMachine(host, description, { msi: new ApicMsi(host), iommu: new VtdIommu(host), earlyLevel: 'missed' });
  const loaded = header.list('native_modules').filter((name) => typeof name === 'string');
  const samples = loaded.includes('mdev') ? new SampleModules(new MdevBus(host), vfio) : undefined;
  host.scheduler.call('boot', boot(bus, vfio, loaded, states));
  for (const name of loaded) host.scheduler.call('modprobe', samples?.load([name]) ?? constant(0));
  return { host, bus, process: recorder(host), samples };
}

/** One that lives through all scenarios of a file. */
export function machineOf(fslmc: FslMcMachine): Machine {
  const { host, msi } = fslmc;
  host.files.add('/dev/null', { kind: 'attribute', mode: 0o666, store: (bytes) => constant(bytes.length) });
  return { host, bus: new PciBus(host, { msi }), process: recorder(host), samples: undefined, fslmc };
}

function recorder(host: Host): Process {
  const process = new Process(host, { name: 'recorder' });
  // A shell's child has its terminal: fds that are open, and no eventfds.
  for (let fd = 0; fd < 3; fd += 1) process.install(new Console(), O_RDWR, fd);
  return process;
}

/** Loads the drivers and binds what was bound; then every configuration byte is what was recorded. */
function* boot(bus: PciBus, vfio: Vfio, loaded: readonly string[], states: ReadonlyMap<string, DeviceState>): Sleeps<void> {
  bus.autoprobe = false;
  const bound = [...states.values()].map(({ driver }) => driver).filter((name) => name !== null);
  for (const name of new Set([...bound, ...loaded])) {
    const driver = name === 'vfio-pci' ? new VfioPciDriver(vfio) : NATIVE.get(name)?.(bus.host.profile.name);
    if (driver !== undefined && bus.driver(driver.name) === undefined) yield* bus.addDriver(driver);
  }
  for (const [address, { recorded, driver, driverOverride }] of states) {
    const device = bus.device(address);
    if (device === undefined) continue;
    if (driver !== null) yield* bindTo(bus, device, driver);
    device.driverOverride = driverOverride;
    device.function.config.bytes.set(fromHex(recorded.config) ?? []);
  }
  bus.autoprobe = true;
}

function* bindTo(bus: PciBus, device: PciDevice, driver: string): Sleeps<void> {
  device.driverOverride = driver;
  yield* bus.probe(device);
}

function deviceStates(header: Fields, recorded: Fields): ReadonlyMap<string, DeviceState> {
  const devices = recorded.object('devices');
  const states = header.object('state');
  const out = new Map<string, DeviceState>();
  for (const address of new Set([...devices.keys, ...states.keys])) {
    const state = states.has(address) ? states.object(address) : undefined;
    if (state?.raw('absent') === true) continue;
    const device = state?.has('new_device') === true ? state.object('new_device') : devices.object(address);
    const config = device.bytes('config');
    if (state?.has('config_delta') === true) applyDelta(config, state.object('config_delta'));
    out.set(address, {
      recorded: { ...deviceOf(device), config: toHex(config) },
      driver: textOrNull(state?.has('driver') === true ? state : device, 'driver'),
      driverOverride: state?.has('driver_override') === true ? (textOrNull(state, 'driver_override') ?? undefined) : undefined,
    });
  }
  return out;
}

/** Dwords by offset, four bytes as they lie in memory. */
function applyDelta(config: Uint8Array, delta: Fields): void {
  for (const key of delta.keys) {
    const bytes = delta.bytes(key);
    const at = Number(key);
    if (bytes.length !== 4 || !(at + 4 <= config.length)) delta.fail(key, 'four bytes inside the configuration space');
    write32(config, at, bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24));
  }
}

