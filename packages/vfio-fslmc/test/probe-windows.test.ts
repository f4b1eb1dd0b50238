import { describe, expect, it } from 'vitest';
import {
  getDeviceFd,
  getDeviceInfo,
  SERIES,
  setContainer,
  setIrqTriggers,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { atEveryYield } from '../../../testing/every-yield.ts';
import { setUp, type FslMcHost, type SetUp } from './set-up.ts';

/**
 * A second container in the isolation context of dprc.2 is open already, so that user space can ask its group for dprc.2 at any time;
 * dprc.2 is about to be bound.
 */
function aboutToBind(init: SetUp): { readonly made: FslMcHost; readonly group: number } {
  const made = setUp(init);
  const { root, mc, prepare, bind } = made;
  prepare();
  // Not before: the kernel's driver has interrupts for one container of an ICID.
  mc.root.addContainer({ id: 9, icid: 23 });
  prepare('dprc.9');
  bind('dprc.9');
  const container = root.open('/dev/vfio/vfio');
  const group = root.open(`/dev/vfio/${made.group()}`);
  setContainer(root, group, container);
  root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return { made, group };
}

/** Opens, asks, sets an interrupt up, closes. @returns how it went, as one word or as what was found */
function use({ root }: FslMcHost, group: number, name: string): string {
  let fd = -1;
  const opened = outcomeOf(() => { fd = getDeviceFd(root, group, name); });
  if (fd < 0) return opened;
  const { numRegions, numIrqs } = getDeviceInfo(root, fd);
  const eventfd = root.eventfd();
  const irqs = outcomeOf(() => setIrqTriggers(root, fd, 0, 0, [eventfd]));
  root.close(fd);
  root.close(eventfd);
  return `${numRegions} regions, ${numIrqs} irqs, ${irqs}`;
}

/** What user space finds at each yield of the probe of dprc.2, and what is reported meanwhile. */
function visit(device: string, init: SetUp): { readonly found: readonly string[]; readonly reports: readonly (readonly string[])[] } {
  const found: string[] = [];
  const reports: string[][] = [];
  const count = atEveryYield(() => {
    const { made, group } = aboutToBind(init);
    const { host, events, root, guest } = made;
    return {
      host,
      kernel: root.sys.writeFile('/sys/bus/fsl-mc/drivers/vfio-fsl-mc/bind', 'dprc.2'),
      user: () => {
        const resets = guest.resets;
        const seen = events.length;
        const outcome = use(made, group, device);
        // That a group is not viable is its answer, and no fault of the kernel's.
        const here = events.slice(seen).filter(({ severity }) => severity !== 'info').map(({ text }) => text);
        found.push(outcome === 'ENODEV' ? outcome : `${outcome}, ${guest.resets - resets} resets`);
        reports.push(here);
      },
      end: (thread) => {
        expect([thread.result(), made.names().filter((name) => name !== 'dprc.9').length]).toEqual(['dprc.2'.length, 9]);
        root.exit();
        expect(host.scheduler.threads).toEqual([]);
      },
    };
  });
  expect(found.length).toBe(count);
  return { found, reports };
}

const WORKS = '1 regions, 1 irqs, success, 1 resets';
/** In the order of the scan. */
const CHILDREN = ['dpbp.0', 'dpcon.0', 'dpmcp.0', 'dpni.0', 'dpni.1', 'dpio.0', 'dpio.1'];
const before: SetUp = { profile: 'linux-5.13', without: [5] };
const FAULT = `(patch 5, "${SERIES[5]}")`;

describe('who opens while a container is probed', () => {
  it.each<ProfileName>(['linux-5.13', 'linux-6.1'])('[vfio P5/6] [vfio Cross-patch-acceptance-t/6] gets an error or a container that works, at every yield, %s', (profile) => {
    const { found, reports } = visit('dprc.2', { profile });
    // 5.13: a group is not viable while one of its devices has a driver and is not registered.
    const inProbe = profile === 'linux-5.13' ? 'EINVAL, 0 resets' : undefined;
    const child = [inProbe ?? WORKS, WORKS, WORKS]; // REGISTERING, REGISTERED, DRIVER_BOUND
    expect(found).toEqual([inProbe ?? 'ENODEV', WORKS, ...CHILDREN.flatMap(() => child), WORKS]);
    expect(reports.flat()).toEqual([]);
  });

  it('[vfio P5/2] [vfio P5/3] [vfio Cross-patch-acceptance-t/6] met NULL pointers, a portal that was not there and a mutex that was none before patch 5', () => {
    const { found, reports } = visit('dprc.2', before);
    const w1 = `dprc.2: opened before the lock of its container: NULL dereference ${FAULT}`;
    const w2 = [`dprc.2: closed before its portal: a reset through a NULL pointer ${FAULT}`, 'dprc.2: reset failed: -22'];
    const w3 = `dprc.2: SET_IRQS before its mutex is initialised ${FAULT}`;
    const refused = 'EINVAL, 0 resets';
    const noPortal = '1 regions, 1 irqs, EINVAL, 0 resets';
    // w4: while the scan makes child after child the container is public; only a group that is not viable keeps users out.
    const child = { found: [refused, WORKS, WORKS, WORKS, WORKS], reports: [[], [w3], [w3], [w3], [w3]] };
    expect(found).toEqual([refused, noPortal, noPortal, ...CHILDREN.flatMap(() => child.found), WORKS, WORKS]);
    expect(reports).toEqual([[], [w1, w3, ...w2], [w3, ...w2], ...CHILDREN.flatMap(() => child.reports), [w3], []]);
  });

  it('[vfio P5/3] meets a child that is whole, and before patch 5 one without lock or mutex', () => {
    const { found, reports } = visit('dpni.0', { profile: 'linux-6.1' });
    // The allocatable dpbp, dpcon and dpmcp are probed first; dpni.0 is public from its own register on.
    const from = 2 + 3 * 3 + 1;
    const works = '0 regions, 2 irqs, success, 0 resets';
    expect(found).toEqual([...Array.from({ length: from }, () => 'ENODEV'), ...Array.from({ length: found.length - from }, () => works)]);
    expect(reports.flat()).toEqual([]);
    const old = visit('dpni.0', before);
    expect([...new Set(old.reports.flat())]).toEqual([`dpni.0: opened before the lock of its container: NULL dereference ${FAULT}`, `dpni.0: SET_IRQS before its mutex is initialised ${FAULT}`]);
  });
});
