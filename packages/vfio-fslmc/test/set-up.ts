/** A host with an fsl-mc bus, for the tests of this package. */
import {
  ApicMsi,
  get,
  getDeviceFd,
  Host,
  Process,
  set,
  setContainer,
  Mmu500Iommu,
  Vfio,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
  type SeriesPatch,
  type Thread,
  type TraceEvent,
} from '@vsim/vfio-core';
import {
  FslMcBus,
  ManagementComplex,
  mc_header,
  mcCommand,
  OPEN_COMMANDS,
  PARAMS,
  VfioFslMcDriver,
  type ManagementComplexInit,
  type McContainer,
  type McObject,
} from '../src/index.ts';

export interface SetUp extends ManagementComplexInit {
  readonly profile?: ProfileName | undefined;
  readonly msi?: 'none' | number;
  readonly iommu?: boolean;
  readonly msiProperty?: 'msi-parent' | 'msi-map' | undefined;
  /** Patches of the series that the kernel lacks. */
  readonly without?: readonly SeriesPatch[];
  /** What the firmware says of itself when Linux boots. */
  readonly gsr?: number | undefined;
}

/** The fds of a group whose container has an IOMMU. */
export interface OpenGroup {
  readonly container: number;
  readonly group: number;
  readonly device: (name: string) => number;
}

/** A root container with one of its own for user space: 2 dpni, 2 dpio, dpbp, dpcon, dpmcp. */
export class FslMcHost {
  readonly host: Host;
  /** From severity warn on. */
  readonly events: readonly TraceEvent[];
  /** Why calls were refused: severity info. */
  readonly reasons: readonly TraceEvent[];
  readonly vfio: Vfio;
  readonly mc: ManagementComplex;
  readonly guest: McContainer;
  readonly dpni: McObject;
  readonly bus: FslMcBus;
  readonly driver: VfioFslMcDriver;
  /** What the bus answered at boot. */
  readonly started: number;
  readonly root: Process;

  constructor(init: SetUp = {}) {
    this.host = new Host({ profile: init.profile, without: init.without });
    const { host } = this;
    this.events = host.trace.record('warn');
    this.reasons = host.trace.record();
    this.vfio = new Vfio(host);
    this.mc = new ManagementComplex(host, init);
    if (init.gsr !== undefined && this.mc.control !== undefined) this.mc.control.gsr = init.gsr;
    this.guest = this.mc.root.addContainer({ id: 2, icid: 23 });
    this.dpni = this.guest.add({ type: 'dpni', id: 0, irqs: 2 });
    this.guest.add({ type: 'dpni', id: 1 });
    this.guest.add({ type: 'dpio', id: 0 });
    this.guest.add({ type: 'dpio', id: 1 });
    this.guest.add({ type: 'dpbp', id: 0 });
    this.guest.add({ type: 'dpcon', id: 0 });
    this.guest.add({ type: 'dpmcp', id: 0 });
    const msi = init.msi === 'none' ? undefined : new ApicMsi(host, { entries: init.msi ?? 65_536 });
    const iommu = init.iommu === false ? undefined : new Mmu500Iommu(host);
    this.bus = new FslMcBus(host, { mc: this.mc, iommu, msi, msiProperty: init.msiProperty });
    this.driver = new VfioFslMcDriver(this.bus, this.vfio);
    this.started = host.scheduler.call('boot', this.bus.start());
    host.scheduler.call('modprobe vfio-fsl-mc', this.bus.addDriver(this.driver));
    this.root = new Process(host, { name: 'root' });
  }

  readonly store = (path: string, text: string): number => this.root.writeFile(`/sys/bus/fsl-mc/${path}`, text);

  /** A container leaves the kernel's driver, for vfio-fsl-mc. */
  readonly prepare = (name = 'dprc.2'): void => {
    this.store(`devices/${name}/driver_override`, 'vfio-fsl-mc');
    this.store('drivers/fsl_mc_dprc/unbind', name);
  };

  readonly bind = (name = 'dprc.2'): number => this.store('drivers/vfio-fsl-mc/bind', name);

  readonly assign = (): number => {
    this.prepare();
    return this.bind();
  };

  readonly group = (name = 'dprc.2'): string => this.root.readlink(`/sys/bus/fsl-mc/devices/${name}/iommu_group`).split('/').at(-1)!;

  readonly openGroup = (name?: string): OpenGroup => {
    const { root } = this;
    const container = root.open('/dev/vfio/vfio');
    const groupFd = root.open(`/dev/vfio/${this.group(name)}`);
    setContainer(root, groupFd, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return { container, group: groupFd, device: (name: string) => getDeviceFd(root, groupFd, name) };
  };

  readonly names = (): readonly string[] => this.bus.devices.map(({ name }) => name);

  readonly start = (path: string, text: string): Thread<number> => this.root.start(path, this.root.sys.writeFile(`/sys/bus/fsl-mc/${path}`, text));

  /** What a container in user space takes: nothing of it may be left. */
  readonly leftOvers = (): Readonly<Record<string, number>> => {
    const { driver, mc, bus, vfio, host } = this;
    const containers = bus.devices.filter(({ isDprc }) => isDprc);
    return {
      notifiers: driver.notifiers,
      listeners: bus.listeners,
      locks: containers.reduce((sum, container) => sum + driver.lockUsers(container), 0),
      handles: mc.handles,
      portals: bus.portals.size,
      irqs: containers.reduce((sum, { dprc }) => sum + (dprc?.irqs?.size ?? 0), 0),
      groups: vfio.groups.length,
      pages: host.pages.used,
      threads: host.scheduler.threads.length,
    };
  };
}

export function setUp(init: SetUp = {}): FslMcHost {
  return new FslMcHost(init);
}

/** Sends one command through a device fd at `offset` and reads what the portal then holds. */
export function send(root: Process, fd: number, command: Uint8Array, offset = 0): Uint8Array {
  root.pwrite(fd, command, offset);
  const answer = new Uint8Array(64);
  root.pread(fd, answer, offset);
  return answer;
}

export const openCommand = (type: string, id: number): Uint8Array => {
  const bytes = mcCommand(OPEN_COMMANDS.get(type)!, 1, 0);
  set(bytes, [PARAMS, 'u32'], id);
  return bytes;
};
export const status = (answer: Uint8Array): number => get(answer, mc_header.status);
export const token = (answer: Uint8Array): number => get(answer, mc_header.token);
