/** More of what a real Linux 6.1 was recorded to do: which commands pass, regions, folders, mappings, and what containers share. */
import { ApicMsi, getDeviceFd, Host, MAP_PRIVATE, Mmu500Iommu, Process, PROT_READ, setIrqTriggers, SmmuV3Iommu, STREAM_TAKEN, Vfio, type ArmIommu } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import {
  DPRC_GET_API_VERSION,
  DPRC_GET_OBJ_COUNT,
  DPRC_GET_OBJ_REG,
  DPRC_OPEN,
  FSL_MC_SEND_MC_COMMAND,
  FslMcBus,
  ManagementComplex,
  MC_CLOSE,
  MC_GET_ATTR,
  MC_RESET,
  mcCommand,
  OPEN_COMMANDS,
  PARAMS,
  VfioFslMcDriver,
  type McRange,
} from '../src/index.ts';
import { setUp } from './set-up.ts';

const FOLDER = '/sys/bus/fsl-mc/devices';

function ids(mc: ManagementComplex, name: string): number[] {
  const out: number[] = [];
  mc.watch({ answered: ({ portal, command }) => { if (portal.container.name === name) out.push(command); } });
  return out;
}

interface Small {
  readonly iommu?: (host: Host) => ArmIommu;
  readonly dmaRanges?: boolean;
  readonly ranges?: readonly McRange[];
  /** The MC tells where its regions are. @default true */
  readonly bases?: boolean;
}

/** A root with dprc.2, and a dpio, dpmcp and dpni in that. */
function small({ iommu, bases = true, ...init }: Small = {}) {
  const host = new Host();
  const events = host.trace.record('warn');
  const mc = new ManagementComplex(host, { base: 0x7800_0000, qbmanBase: 0x7c00_0000 });
  const guest = mc.root.addContainer({ id: 2, icid: 10 });
  for (const type of ['dpio', 'dpmcp', 'dpni']) guest.add({ type, id: 0 });
  mc.watch({ submitted: ({ command }) => (command === DPRC_GET_OBJ_REG && !bases ? { patch: [[PARAMS + 32, new Uint8Array(8)]] } : undefined) });
  const bus = new FslMcBus(host, { mc, msi: new ApicMsi(host), iommu: iommu?.(host), ...init });
  host.scheduler.call('boot', bus.start());
  host.scheduler.call('modprobe', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));
  const root = new Process(host, { name: 'root' });
  const store = (path: string, text: string): string => outcomeOf(() => root.writeFile(`/sys/bus/fsl-mc/${path}`, text));
  const bind = (name: string): string => {
    store(`devices/${name}/driver_override`, 'vfio-fsl-mc');
    store('drivers/fsl_mc_dprc/unbind', name);
    return store('drivers/vfio-fsl-mc/bind', name);
  };
  return { host, events, mc, bus, root, store, bind };
}

describe('/dev/dprc.1', () => {
  it.each<readonly [string, number, number, boolean]>([
    ['DPNI_CREATE', 0x901, 64, true],
    ['DPNI_DESTROY', 0x981, 12, true],
    ['DPSW_SET_TAILDROP', 0x0a8, 24, true],
    ['DPSW_GET_TAILDROP', 0x0a9, 14, false],
  ])('[fslmc 41] [fslmc D2] [fslmc D3] lets %s (%i) pass with a token alone, of %i bytes, for CAP_NET_ADMIN: %s', (_, id, size, admin) => {
    const { host, mc } = setUp();
    // Who is asked is busy.
    mc.watch({ submitted: () => ({ status: 0xa }) });
    const sent = (capabilities: readonly 'CAP_NET_ADMIN'[], token: number, at?: number): string => {
      const user = new Process(host, { name: 'restool', capabilities });
      const fd = user.open('/dev/dprc.1');
      const command = mcCommand(id, 1, token);
      if (at !== undefined) command[at] = 1;
      const outcome = outcomeOf(() => user.ioctl(fd, FSL_MC_SEND_MC_COMMAND, command));
      user.close(fd);
      return outcome;
    };
    const root = ['CAP_NET_ADMIN'] as const;
    expect([sent(root, 0), sent(root, 1), sent([], 1)]).toEqual(['EACCES', 'EBUSY', admin ? 'EPERM' : 'EBUSY']);
    expect([sent(root, 1, size - 1), size < 64 ? sent(root, 1, size) : 'EACCES']).toEqual(['EBUSY', 'EACCES']);
  });
});

describe('regions for which the MC gives no base', () => {
  const starts = (bus: FslMcBus): unknown => ['dprc.2', 'dpmcp.0', 'dpio.0'].map((name) => bus.device(name)?.regions.map(({ start }) => start));

  it('[fslmc 16] [fslmc D14] are offsets where the node has no ranges; a container’s counts from the 64 MiB that the root’s portal is in', () => {
    // Its portal is found, so that what is in it is found.
    expect(starts(small({ bases: false }).bus)).toEqual([[0x7801_0000], [0x2_0000], [0, 0x1_0000]]);
  });

  it('[fslmc 16] [fslmc D13] are found by the type of the object: all of a dpio in the range of the queues', () => {
    const ranges = [{ kind: 'mc-portal', offset: 0, size: 0x400_0000, start: 0x7800_0000 }, { kind: 'qbman', offset: 0, size: 0x200_0000, start: 0x7c00_0000 }] as const;
    expect(starts(small({ ranges, bases: false }).bus)).toEqual([[0x7801_0000], [0x7802_0000], [0x7c00_0000, 0x7c01_0000]]);
  });
});

describe('containers of one ICID', () => {
  it('[fslmc 6] [fslmc D11] share 256 interrupts: the kernel’s driver fails for the second, with what it had opened closed', () => {
    const { mc, bus, store, events } = setUp();
    mc.root.addContainer({ id: 7, icid: 99 }).add({ type: 'dpmac', id: 1 });
    const before = mc.handles;
    const third = mc.root.addContainer({ id: 3, icid: 23 });
    const log = ids(mc, 'dprc.3');
    third.add({ type: 'dpmac', id: 2 });
    expect([bus.device('dprc.3')?.driverName, bus.device('dpmac.2'), mc.handles]).toEqual([undefined, undefined, before]);
    expect(outcomeOf(() => store('drivers/fsl_mc_dprc/bind', 'dprc.3'))).toBe('ENOSPC');
    // Objects are counted before interrupts are asked for.
    expect(log).toEqual([DPRC_OPEN, MC_GET_ATTR, DPRC_GET_API_VERSION, DPRC_GET_OBJ_COUNT, 0x15a, MC_CLOSE]);
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    store('drivers/fsl_mc_dprc/bind', 'dprc.3');
    expect([bus.device('dpmac.2') === undefined, events.filter(({ severity }) => severity === 'bug')]).toEqual([false, []]);
  });

  it('[fslmc 6] [fslmc D11] share them in user space, too: SET_IRQS has none while the other has them', () => {
    const { mc, assign, bind, store, openGroup, root } = setUp();
    assign();
    mc.root.addContainer({ id: 3, icid: 23 }).add({ type: 'dpci', id: 1 });
    store('drivers/fsl_mc_dprc/unbind', 'dprc.3');
    store('devices/dprc.3/driver_override', 'vfio-fsl-mc');
    bind('dprc.3');
    const { device } = openGroup();
    const [fd, other] = [device('dpni.0'), device('dpci.1')];
    const trigger = (of: number): string => outcomeOf(() => { setIrqTriggers(root, of, 0, 0, [root.eventfd()]); });
    expect([trigger(fd), trigger(other)]).toEqual(['success', 'ENOSPC']);
    root.close(fd);
    expect(trigger(other)).toBe('success');
  });
});

describe('the folder of a device', () => {
  it('[fslmc 20] [fslmc D18] shows IOMMU, interrupts and VFIO as long as it has them', () => {
    const { root, bind, store } = small({ iommu: (host) => new Mmu500Iommu(host, { device: '7e000000.iommu' }) });
    const extra = (name: string): string[] => root.readdir(`${FOLDER}/${name}`).filter((entry) => /iommu|msi_irqs|vfio-dev/.test(entry));
    const behind = ['iommu', 'iommu_group', 'supplier:platform:7e000000.iommu'];
    expect([extra('dprc.2'), extra('dpni.0'), root.readdir(`${FOLDER}/dprc.2/msi_irqs`).length]).toEqual([['iommu', 'iommu_group', 'msi_irqs', 'supplier:platform:7e000000.iommu'], [], 256]);
    bind('dprc.2');
    expect([extra('dprc.2'), extra('dpni.0')]).toEqual([[...behind, 'vfio-dev'], [...behind, 'vfio-dev']]);
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([extra('dprc.2'), root.readdir(`${FOLDER}/dprc.2`).includes('uevent')]).toEqual([behind, true]);
  });
});

describe('an IOMMU', () => {
  it('[fslmc 4] that is an SMMUv3 takes the stream id of a container once: its objects have no group, and vfio-fsl-mc takes none of them', () => {
    const { bus, bind, events } = small({ iommu: (host) => new SmmuV3Iommu(host) });
    const grouped = (): unknown => ['dprc.2', 'dpmcp.0', 'dpni.0'].map((name) => bus.device(name)?.iommuGroup?.id);
    expect([grouped(), bus.device('dpmcp.0')?.driverName]).toEqual([[1, undefined, undefined], 'fsl_mc_allocator']);
    expect([bind('dprc.2'), grouped(), ['dprc.2', 'dpmcp.0', 'dpni.0'].map((name) => bus.device(name)?.driverName)]).toEqual(['success', [1, undefined, undefined], ['vfio-fsl-mc', undefined, undefined]]);
    expect(events.filter(({ id }) => id === STREAM_TAKEN.id).map(({ fields }) => fields)).toContainEqual({ device: 'dpni.0', stream: 10, owner: 'dprc.2' });
  });

  it('[fslmc 4] that is an MMU-500 has container and objects in one group', () => {
    const { bus, bind } = small({ iommu: (host) => new Mmu500Iommu(host) });
    bind('dprc.2');
    expect(['dprc.2', 'dpio.0', 'dpmcp.0', 'dpni.0'].map((name) => bus.device(name)?.iommuGroup?.id)).toEqual([1, 1, 1, 1]);
  });

  it('[fslmc 3] is not looked for without dma-ranges around the node', () => {
    const { bus, bind } = small({ iommu: (host) => new Mmu500Iommu(host), dmaRanges: false });
    expect([bind('dprc.2'), bus.devices.map(({ iommuGroup }) => iommuGroup?.id)]).toEqual(['EINVAL', [undefined, undefined]]);
  });
});

describe('a mapping', () => {
  it('[fslmc 33] [fslmc D19] of 256 bytes of a dpmcp is one of a page', () => {
    const { assign, openGroup, root } = setUp();
    assign();
    const fd = openGroup().device('dpmcp.0');
    expect([root.mmap(fd, 256).length, outcomeOf(() => root.mmap(fd, 256, 0, PROT_READ, MAP_PRIVATE))]).toEqual([0x1000, 'EINVAL']);
  });

  it('[fslmc 33] [fslmc 31] [fslmc D26] keeps its file: the object is reset at munmap, and an unbind waits for that', () => {
    const { mc, assign, openGroup, root, start } = setUp();
    assign();
    const fd = openGroup().device('dpio.0');
    const mapping = root.mmap(fd, 0x1000);
    const log = ids(mc, 'dprc.2');
    root.close(fd);
    const unbind = start('drivers/vfio-fsl-mc/unbind', 'dpio.0');
    expect([log, unbind.finished]).toEqual([[], false]);
    mapping.unmap();
    expect([log, unbind.finished]).toEqual([[OPEN_COMMANDS.get('dpio'), MC_RESET, MC_CLOSE], true]);
  });
});

describe('what waits for its user', () => {
  it('[fslmc 35] [fslmc D32] is the next object of a container that is unbound: listed no more, and those after it can be opened still', () => {
    const { assign, openGroup, root, start, bus } = setUp();
    assign();
    const { device, group } = openGroup();
    const fd = device('dpni.0');
    const unbind = start('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    const listed = (): string[] => root.readdir(FOLDER).filter((name) => name !== 'dprc.1');
    expect([unbind.finished, listed()]).toEqual([false, ['dpio.0', 'dpio.1', 'dpni.1', 'dprc.2']]);
    const later = getDeviceFd(root, group, 'dpio.1');
    root.close(fd);
    expect([unbind.finished, listed()]).toEqual([false, ['dprc.2']]);
    root.close(later);
    expect([unbind.finished, listed(), bus.device('dprc.2')?.dprc]).toEqual([true, ['dprc.2'], undefined]);
  });

  it('[fslmc 19] [fslmc D32] is the scan of the parent where a container is destroyed; one at vfio-fsl-mc is not scanned', () => {
    const { mc, assign, openGroup, root, guest, names } = setUp();
    assign();
    const fd = openGroup().device('dprc.2');
    guest.add({ type: 'dpni', id: 5 });
    expect(names()).not.toContain('dpni.5');
    mc.root.remove(guest);
    expect(root.readdir(FOLDER)).not.toContain('dprc.2');
    expect(names()).toContain('dpni.0');
    root.close(fd);
    expect(names()).toEqual(['dprc.1']);
  });
});
