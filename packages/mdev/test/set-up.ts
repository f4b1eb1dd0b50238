/** A host with the sample parents, for the tests of this package. */
import {
  getDeviceFd,
  Host,
  Process,
  setContainer,
  Vfio,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
  type TraceEvent,
} from '@vsim/vfio-core';
import type { VfioDeviceSubject } from '@vsim/vfio-core/testing';
import { Mbochs, MdevBus, Mdpy, Mtty } from '../src/index.ts';

export const UUID = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
export const TYPES = '/sys/class/mdev_bus/mtty/mdev_supported_types';

/** The n-th of many UUIDs. */
export function uuidOf(n: number): string {
  return `00000000-0000-0000-0000-${n.toString(16).padStart(12, '0')}`;
}

/** The fds of an mdev's group whose container has type1, and the device's. */
export interface Opened {
  readonly container: number;
  readonly group: number;
  readonly device: number;
}

export class MdevHost {
  readonly host: Host;
  readonly events: readonly TraceEvent[];
  readonly vfio: Vfio;
  readonly bus: MdevBus;
  readonly mtty: Mtty;
  readonly mdpy: Mdpy;
  readonly mbochs: Mbochs;
  readonly root: Process;

  constructor(profile: ProfileName, migration: boolean) {
    this.host = new Host({ profile });
    const { host } = this;
    this.events = host.trace.record();
    this.vfio = new Vfio(host);
    this.bus = new MdevBus(host);
    this.mtty = new Mtty(this.bus, this.vfio, { migration });
    this.mdpy = new Mdpy(this.bus, this.vfio);
    this.mbochs = new Mbochs(this.bus, this.vfio);
    for (const parent of [this.mtty, this.mdpy, this.mbochs]) host.scheduler.call('modprobe', parent.register());
    this.root = new Process(host, { name: 'root' });
  }

  readonly create = (type: string, uuid: string = UUID): number =>
    this.root.writeFile(`/sys/class/mdev_bus/${type.split('-')[0]!}/mdev_supported_types/${type}/create`, uuid);

  readonly remove = (uuid: string = UUID): number => this.root.writeFile(`/sys/bus/mdev/devices/${uuid}/remove`, '1');

  readonly left = (type: string): number => Number(this.root.readFile(`/sys/class/mdev_bus/${type.split('-')[0]!}/mdev_supported_types/${type}/available_instances`));

  readonly groupOf = (uuid: string): number => Number(this.root.readlink(`/sys/bus/mdev/devices/${uuid}/iommu_group`).split('/').at(-1));

  readonly open = (uuid: string = UUID): Opened => {
    const { root } = this;
    const container = root.open('/dev/vfio/vfio');
    const group = root.open(`/dev/vfio/${this.groupOf(uuid)}`);
    setContainer(root, group, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return { container, group, device: getDeviceFd(root, group, uuid) };
  };
}

export function setUp(profile: ProfileName = 'linux-6.1', migration = false): MdevHost {
  return new MdevHost(profile, migration);
}

/** A fresh host with a device of this type, for the suite of VFIO devices. */
export function subjectOf(type: string, profile: ProfileName): VfioDeviceSubject {
  const { root, create, groupOf } = setUp(profile);
  create(type);
  const driver = profile === 'linux-5.13' ? 'vfio_mdev' : type.split('-')[0]!;
  return {
    process: root,
    device: UUID,
    group: groupOf(UUID),
    unbind: () => root.start('unbind', root.sys.writeFile(`/sys/bus/mdev/drivers/${driver}/unbind`, UUID)),
  };
}
