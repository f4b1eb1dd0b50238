import type { Thread } from '../host/scheduler.ts';
import type { Process } from '../process/process.ts';
import { getDeviceFd, getDeviceInfo, getGroupStatus, setContainer } from '../uapi/requests/index.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_NOIOMMU_IOMMU,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '../uapi/vfio.ts';
import { NOIOMMU_OPENED } from '../vfio/vfio-group.ts';
import { NOIOMMU_ADDED } from '../vfio/vfio.ts';
import { expectSame, outcomeOf, type ComplianceCase } from './suite.ts';

const PARAMETER = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
const VIABLE = 1;
const CONTAINER_SET = 2;

/** A fresh host with a device that has no IOMMU, and is not bound, for each case; no-IOMMU mode is off. */
export interface NoIommuSubject {
  /** A process of root. */
  readonly process: Process;
  /** E.g. `/sys/bus/pci/devices/0000:00:02.0`. */
  readonly sysfs: string;
  /** The name that VFIO_GROUP_GET_DEVICE_FD takes. */
  readonly device: string;
  /** Binds it to its VFIO driver. @throws what the write to sysfs gives */
  readonly bind: () => unknown;
  /** Starts to unbind it, in a thread of its own. */
  readonly unbind: () => Thread<unknown>;
}

interface Bound extends NoIommuSubject {
  /** The number of its group. */
  readonly id: number;
  readonly node: string;
  readonly container: number;
  /** VFIO_CHECK_EXTENSION of type 1 version 1 and of no-IOMMU. */
  readonly types: () => string;
  readonly setIommu: (type: number) => string;
}

function bound(subject: NoIommuSubject): Bound {
  const { process, sysfs } = subject;
  process.writeFile(PARAMETER, '1');
  subject.bind();
  const id = Number(process.readlink(`${sysfs}/iommu_group`).split('/').at(-1));
  const container = process.open('/dev/vfio/vfio');
  return {
    ...subject,
    id,
    node: `/dev/vfio/noiommu-${id}`,
    container,
    types: () => [VFIO_TYPE1_IOMMU, VFIO_NOIOMMU_IOMMU].map((type) => process.ioctl(container, VFIO_CHECK_EXTENSION, type)).join(' '),
    setIommu: (type) => outcomeOf(() => process.ioctl(container, VFIO_SET_IOMMU, type)),
  };
}

/**
 * The life of a device without IOMMU, on whatever bus: the switch, the capability and the driver come and go in the middle of it. As
 * recorded of platform, AMBA and PCI devices on Linux 6.1, 6.12 and 7.3. Kernel: vfio_noiommu_group_alloc(), vfio_group_fops_open(),
 * vfio_iommu_driver_allowed(). `setup` is called once for each case.
 */
export function noIommuSuite(setup: () => NoIommuSubject): readonly ComplianceCase[] {
  const withGroup = () => {
    const made = bound(setup());
    const group = made.process.open(made.node);
    const join = (): string => outcomeOf(() => { setContainer(made.process, group, made.container); });
    const get = (name = made.device): string => outcomeOf(() => getDeviceFd(made.process, group, name));
    const leave = (): string => outcomeOf(() => made.process.ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
    return { ...made, group, join, get, leave, status: () => getGroupStatus(made.process, group) };
  };
  return [
    {
      name: 'is bound only while the switch is on, into a group of its own with the lowest free number',
      run: () => {
        const subject = setup();
        const { process, sysfs } = subject;
        const groups = () => process.readdir('/sys/kernel/iommu_groups');
        const before = groups();
        const lowest = [...before.keys(), before.length].find((n) => !before.includes(`${n}`));
        expectSame('bind while it is off', outcomeOf(() => subject.bind()), 'EINVAL');
        expectSame('its group', outcomeOf(() => process.readlink(`${sysfs}/iommu_group`)), 'ENOENT');
        const added: string[] = [];
        process.host.trace.listen(({ id }) => added.push(id));
        const { id, node } = bound(subject);
        expectSame('number', id, lowest);
        expectSame('warnings', added.filter((one) => one === NOIOMMU_ADDED.id).length, 1);
        expectSame('node', process.readdir('/dev/vfio').join(' '), `${node.split('/').at(-1)!} vfio`);
        const read = (name: string) => process.readFile(`/sys/kernel/iommu_groups/${id}/${name}`);
        expectSame('name', read('name'), 'vfio-noiommu\n');
        expectSame('type', read('type'), 'unknown\n');
        expectSame('reserved regions', read('reserved_regions'), '');
        expectSame('unbind', subject.unbind().outcome.state, 'done');
        expectSame('groups in the end', groups().join(' '), before.join(' '));
      },
    },
    {
      name: 'goes on while the switch is off, but for the choice of the IOMMU',
      run: () => {
        const { process, types, join, setIommu, get } = withGroup();
        process.writeFile(PARAMETER, 'n');
        expectSame('types of an empty container', types(), '1 0');
        expectSame('SET_CONTAINER', join(), 'success');
        expectSame('types', types(), '0 0');
        expectSame('SET_IOMMU', setIommu(VFIO_NOIOMMU_IOMMU), 'ENODEV');
        process.writeFile(PARAMETER, 'Y\n');
        expectSame('types when it is on', types(), '0 1');
        expectSame('SET_IOMMU when it is on', setIommu(VFIO_NOIOMMU_IOMMU), 'success');
        process.writeFile(PARAMETER, 'N');
        expectSame('types when it is off again', types(), '0 0');
        expectSame('GET_DEVICE_FD', get(), 'success');
        expectSame('a third value', outcomeOf(() => process.writeFile(PARAMETER, '2')), 'EINVAL');
      },
    },
    {
      name: 'has no type but its own, before and after a group, and no mappings',
      run: () => {
        const { process, container, types, join, setIommu, leave, status } = withGroup();
        const request = (number: number) => outcomeOf(() => process.ioctl(container, number, new Uint8Array(32)));
        expectSame('types of an empty container', types(), '1 1');
        expectSame('SET_IOMMU of an empty container', setIommu(VFIO_NOIOMMU_IOMMU), 'EINVAL');
        expectSame('status', status(), VIABLE);
        join();
        expectSame('status in a container', status(), VIABLE | CONTAINER_SET);
        expectSame('types', types(), '0 1');
        for (const type of [VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU]) expectSame(`SET_IOMMU ${type}`, setIommu(type), 'ENODEV');
        for (const number of [VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA]) expectSame('a request before', request(number), 'EINVAL');
        expectSame('SET_IOMMU', setIommu(VFIO_NOIOMMU_IOMMU), 'success');
        for (const type of [VFIO_NOIOMMU_IOMMU, VFIO_TYPE1v2_IOMMU]) expectSame('a second SET_IOMMU', setIommu(type), 'EINVAL');
        for (const number of [VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA]) expectSame('a request', request(number), 'ENOTTY');
        expectSame('UNSET_CONTAINER', leave(), 'success');
        expectSame('types in the end', types(), '1 1');
      },
    },
    {
      name: 'asks for CAP_SYS_RAWIO at each step, and not on the device itself',
      run: () => {
        const { process, group, device, node, join, get, leave, status, setIommu } = withGroup();
        const weak = <T>(act: () => T): T => {
          process.setCapability('CAP_SYS_RAWIO', false);
          const result = act();
          process.setCapability('CAP_SYS_RAWIO', true);
          return result;
        };
        expectSame('open', weak(() => outcomeOf(() => process.open(node))), 'EPERM');
        expectSame('GET_STATUS', weak(status), VIABLE);
        expectSame('SET_CONTAINER', weak(join), 'EPERM');
        join();
        expectSame('SET_IOMMU of another type', weak(() => setIommu(VFIO_TYPE1v2_IOMMU)), 'ENODEV');
        expectSame('SET_IOMMU', weak(() => setIommu(VFIO_NOIOMMU_IOMMU)), 'EPERM');
        expectSame('GET_DEVICE_FD before the IOMMU', weak(get), 'EINVAL');
        setIommu(VFIO_NOIOMMU_IOMMU);
        expectSame('GET_DEVICE_FD', weak(get), 'EPERM');
        expectSame('GET_DEVICE_FD of another name', weak(() => get('nonsense')), 'ENODEV');
        const fd = getDeviceFd(process, group, device);
        expectSame('GET_INFO', weak(() => outcomeOf(() => getDeviceInfo(process, fd))), 'success');
        process.close(fd);
        expectSame('UNSET_CONTAINER', weak(leave), 'success');
      },
    },
    {
      name: 'is told of each time it is opened, with the task',
      run: () => {
        const { process, join, setIommu, get } = withGroup();
        join();
        setIommu(VFIO_NOIOMMU_IOMMU);
        const opened: string[] = [];
        process.host.trace.listen(({ id, text }) => { if (id === NOIOMMU_OPENED.id) opened.push(text); });
        get();
        get();
        expectSame('warnings', opened.filter((text) => text.includes(process.name)).length, 2);
      },
    },
    {
      name: 'leaves its group when it is unbound: what holds the group has none any more',
      run: () => {
        const { process, sysfs, id, node, group, unbind, bind, join, get, status, leave, setIommu } = withGroup();
        join();
        const unbound = unbind();
        expectSame('unbind', unbound.outcome.state, 'done');
        expectSame('link', outcomeOf(() => process.readlink(`${sysfs}/iommu_group`)), 'ENOENT');
        expectSame('GET_STATUS', outcomeOf(status), 'ENODEV');
        expectSame('SET_IOMMU', setIommu(VFIO_NOIOMMU_IOMMU), 'EINVAL');
        expectSame('GET_DEVICE_FD', get(), 'ENODEV');
        expectSame('UNSET_CONTAINER', leave(), 'EINVAL');
        expectSame('SET_CONTAINER', join(), 'ENODEV');
        bind();
        expectSame('the next group', outcomeOf(() => process.open(node)), 'success');
        expectSame('its number', process.readlink(`${sysfs}/iommu_group`).endsWith(`/${id}`), true);
        process.close(group);
      },
    },
  ];
}
