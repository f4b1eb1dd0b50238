/** A host with one platform or AMBA device, a PL011, for the tests of this package. */
import {
  Bus,
  getDeviceFd,
  Host,
  Process,
  setContainer,
  SmmuV3Iommu,
  Vfio,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
  type Thread,
  type TraceEvent,
} from '@vsim/vfio-core';
import {
  AmbaBus,
  IrqLine,
  Pl011,
  PlatformDevice,
  ResetModules,
  VfioAmbaDriver,
  VfioPlatformDriver,
  type PlatformDeviceInit,
  type VfioPlatformInit,
} from '../src/index.ts';

export const NAME = '9000000.uart';
export const COMPATIBLE = 'vsim,uart';

export interface SetUp extends VfioPlatformInit, Partial<Pick<PlatformDeviceInit, 'firmware' | 'irqs' | 'msiParent' | 'peripheralId' | 'resources'>> {
  readonly profile?: ProfileName;
  readonly withReset?: boolean;
  readonly amba?: boolean;
  readonly trigger?: 'edge-rising' | 'level-high';
  readonly group?: boolean;
  /** How long the reset function takes, in ns. */
  readonly slowReset?: number;
}

/** The fds of a group whose container has an IOMMU, and its device. */
export interface Opened {
  readonly container: number;
  readonly group: number;
  readonly device: number;
}

/** Opens a group, with a container that has type1. */
export function openGroup(process: Process, id: number): Omit<Opened, 'device'> {
  const container = process.open('/dev/vfio/vfio');
  const group = process.open(`/dev/vfio/${id}`);
  setContainer(process, group, container);
  process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return { container, group };
}

export class PlatformHost {
  readonly host: Host;
  /** From severity warn on. */
  readonly events: readonly TraceEvent[];
  /** Why calls were refused: severity info. */
  readonly reasons: readonly TraceEvent[];
  readonly vfio: Vfio;
  readonly resets: ResetModules;
  /** Calls of the reset function. */
  readonly calls: string[] = [];
  /** What it answers. */
  readonly answers: { reset: number } = { reset: 0 };
  readonly bus: Bus<PlatformDevice>;
  readonly driver: VfioPlatformDriver | VfioAmbaDriver;
  readonly irq: IrqLine;
  readonly uart: Pl011;
  readonly device: PlatformDevice;
  readonly root: Process;

  constructor(init: SetUp = {}) {
    this.host = new Host({ profile: init.profile });
    const { host, calls, answers } = this;
    const amba = init.amba === true || init.peripheralId !== undefined;
    this.events = host.trace.record('warn');
    this.reasons = host.trace.record();
    this.vfio = new Vfio(host);
    this.resets = init.resets ?? new ResetModules();
    const { resets } = this;
    if (init.withReset !== false) {
      resets.register(COMPATIBLE, function* (device) {
        calls.push(`reset ${device.name}`);
        if (init.slowReset !== undefined) yield* host.scheduler.sleep(init.slowReset);
        return answers.reset;
      });
    }
    this.bus = amba ? new AmbaBus(host) : new Bus<PlatformDevice>(host, 'platform');
    this.driver = amba ? new VfioAmbaDriver(this.vfio, { ...init, resets }) : new VfioPlatformDriver(this.vfio, { ...init, resets });
    host.scheduler.call('modprobe', this.bus.addDriver(this.driver));
    this.irq = new IrqLine(33, init.trigger ?? 'level-high');
    this.uart = new Pl011(this.irq);
    this.device = new PlatformDevice(host, {
      name: NAME,
      resources: init.resources ?? [
        { kind: 'mem', start: 0x900_0000, size: 0x1000 },
        { kind: 'io', start: 0x3f8, size: 8 },
        { kind: 'mem', start: 0x901_0000, size: 0x10, readOnly: true },
      ],
      irqs: init.irqs ?? [this.irq],
      msiParent: init.msiParent ?? true,
      firmware: init.firmware ?? { compatible: [COMPATIBLE, 'arm,pl011'] },
      hardware: init.resources === undefined ? [this.uart] : undefined,
      peripheralId: init.peripheralId ?? (amba ? 0x0024_1011 : undefined),
    });
    this.bus.announce(this.device);
    if (init.group !== false) new SmmuV3Iommu(host).addGroup([this.device]);
    this.root = new Process(host, { name: 'root' });
  }

  readonly bind = (): number => {
    this.root.writeFile(`/sys/bus/${this.bus.name}/devices/${NAME}/driver_override`, this.driver.name);
    return this.root.writeFile(`/sys/bus/${this.bus.name}/drivers/${this.driver.name}/bind`, NAME);
  };

  readonly startBind = (): Thread<number> => {
    this.device.driverOverride = this.driver.name;
    return this.root.start('bind', this.root.sys.writeFile(`/sys/bus/${this.bus.name}/drivers/${this.driver.name}/bind`, NAME));
  };

  readonly open = (): Opened => {
    const opened = openGroup(this.root, 0);
    return { ...opened, device: getDeviceFd(this.root, opened.group, NAME) };
  };

  readonly unbind = (): Thread<number> => this.root.start('unbind', this.root.sys.writeFile(`/sys/bus/${this.bus.name}/drivers/${this.driver.name}/unbind`, NAME));
}

export function setUp(init: SetUp = {}): PlatformHost {
  return new PlatformHost(init);
}
