/** What a real Linux 6.1 was recorded to do with a Management Complex: what it asks, in which order, and what it makes of wrong answers. */
import { EACCES, get, getDeviceFd, getDeviceInfo, getRegionInfo, setContainer, setIrqTriggers, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU, VFIO_SET_IOMMU } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { DPRC_GET_OBJ_REG, IRQ_NOT_TOLD, mc_header, MC_CLEAR_IRQ_STATUS, MC_SET_IRQ, MC_SET_IRQ_ENABLE, MC_SET_IRQ_MASK, McIo, OPEN_COMMANDS, PARAMS, type McFault, type McSubmission } from '../src/index.ts';
import { setUp, type FslMcHost } from './set-up.ts';

/** What a container's portal hears from here on: command and first parameter. */
function heard({ mc }: FslMcHost, name = 'dprc.2'): string[] {
  const out: string[] = [];
  mc.watch({
    answered: ({ portal, command, bytes }) => {
      if (portal.container.name === name) out.push(`${command.toString(16)} ${get(bytes, [PARAMS, 'u32']).toString(16)}`);
    },
  });
  return out;
}

/** The MC answers some commands of one container's portal so. */
function failing({ mc }: FslMcHost, name: string, when: (submission: McSubmission) => McFault | undefined): () => void {
  return mc.watch({ submitted: (submission) => (submission.portal.container.name === name ? when(submission) : undefined) });
}

const hex = (command: number, value: number): string => `${command.toString(16)} ${value.toString(16)}`;
const QUIET = [hex(MC_SET_IRQ_ENABLE, 0), hex(MC_SET_IRQ_MASK, 0), hex(MC_CLEAR_IRQ_STATUS, 0xffff_ffff)];
const LISTENS = [hex(MC_SET_IRQ_MASK, 0xffff_ffff), hex(MC_SET_IRQ_ENABLE, 1)];

describe('the interrupt of a container', () => {
  it('[fslmc 11] [fslmc D5] [fslmc D6] is quietened, told its message, and listens; unbind and autorescan quieten it again', () => {
    const made = setUp();
    const { store } = made;
    const root = heard(made, 'dprc.1');
    store('autorescan', '0');
    store('autorescan', '1');
    expect(root).toEqual([...QUIET, ...LISTENS]);
    const log = heard(made);
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    expect(log.slice(0, 3)).toEqual(QUIET);
    log.length = 0;
    store('drivers/fsl_mc_dprc/bind', 'dprc.2');
    const setUpIrq = log.slice(-6);
    expect([setUpIrq.slice(0, 3), setUpIrq[3]?.split(' ')[0], setUpIrq.slice(4)]).toEqual([QUIET, MC_SET_IRQ.toString(16), LISTENS]);
  });

  it.each([MC_SET_IRQ_ENABLE, MC_SET_IRQ_MASK, MC_CLEAR_IRQ_STATUS])('[fslmc 11] [fslmc D9] that the MC does not let be set up fails the probe, with nothing left: command %i', (command) => {
    const made = setUp();
    const { store, bus, mc } = made;
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    const before = mc.handles;
    failing(made, 'dprc.2', (submission) => (submission.command === command ? { status: 3 } : undefined));
    expect([outcomeOf(() => store('drivers/fsl_mc_dprc/bind', 'dprc.2')), bus.device('dprc.2')?.children, mc.handles]).toEqual(['EACCES', [], before]);
  });

  it('[fslmc 11] whose message the MC refuses is only told', () => {
    const made = setUp();
    const { store, bus, events } = made;
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    failing(made, 'dprc.2', ({ command }) => (command === MC_SET_IRQ ? { status: 3 } : undefined));
    store('drivers/fsl_mc_dprc/bind', 'dprc.2');
    expect([bus.device('dprc.2')?.driverName, events.filter(({ id }) => id === IRQ_NOT_TOLD.id).length]).toEqual(['fsl_mc_dprc', 1]);
  });

  it('[fslmc 50] is acknowledged also where it has nothing to tell, as one that came while the last was handled', () => {
    const made = setUp();
    const { host, mc } = made;
    const log = heard(made, 'dprc.1');
    host.scheduler.call('writer', (function* () {
      yield { point: 'test' };
      mc.root.raise(0, 1);
    })());
    expect(log.slice(0, 3)).toEqual(['16 0', hex(MC_CLEAR_IRQ_STATUS, 1), '159 0']);
    log.length = 0;
    // Another message, and nothing in the status.
    mc.host.memory.write32(mc.root.irqs[0]!.address, mc.root.irqs[0]!.data, mc.root.icid);
    expect(log).toEqual(['16 0', hex(MC_CLEAR_IRQ_STATUS, 0)]);
  });

  it('[fslmc 50] that cannot be acknowledged is followed by no scan', () => {
    const made = setUp();
    failing(made, 'dprc.1', ({ command }) => (command === MC_CLEAR_IRQ_STATUS ? { status: 3 } : undefined));
    const log = heard(made, 'dprc.1');
    made.mc.root.add({ type: 'dpmac', id: 3 });
    expect([log, made.names().includes('dpmac.3')]).toEqual([['16 0', hex(MC_CLEAR_IRQ_STATUS, 0x41)], false]);
  });

  it('[fslmc 19] is looked at when the scan before it is done, which may wait for a user', () => {
    const made = setUp();
    const { assign, openGroup, mc, guest, root, start, names } = made;
    assign();
    const fd = openGroup().device('dpni.0');
    made.store('autorescan', '0');
    mc.root.remove(guest);
    made.store('autorescan', '1');
    const rescan = start('rescan', '1');
    const log = heard(made, 'dprc.1');
    mc.root.add({ type: 'dpmac', id: 3 });
    expect([rescan.finished, log, names().includes('dpmac.3')]).toEqual([false, [], false]);
    root.close(fd);
    // What it reports was latched before it was listened to.
    expect([rescan.finished, log.slice(0, 2), names()]).toEqual([true, ['16 0', hex(MC_CLEAR_IRQ_STATUS, 0x63)], ['dprc.1', 'dpmac.3']]);
  });

  it('[fslmc 12] [fslmc D7] is told before other commands; nothing is sent when the user lets it go, and the object keeps its message', () => {
    const made = setUp();
    const { assign, openGroup, root, dpni, mc } = made;
    assign();
    const fd = openGroup().device('dpni.0');
    const flags: number[] = [];
    mc.watch({ answered: ({ bytes }) => { flags.push(get(bytes, mc_header.flags_hw), get(bytes, mc_header.flags_sw)); } });
    setIrqTriggers(root, fd, 0, 0, [root.eventfd()]);
    expect(flags).toEqual([0x80, 1]);
    const address = dpni.irqs[0]?.address;
    setIrqTriggers(root, fd, 0, 0, [-1]);
    expect([flags.length, dpni.irqs[0]?.address, address === 0]).toEqual([2, address, false]);
  });
});

describe('the bus', () => {
  it('[fslmc 5] [fslmc D4] has no group for an object until a driver is tried for it', () => {
    const { bus, root, assign } = setUp();
    const grouped = () => ['dprc.2', 'dpmcp.0', 'dpni.0'].map((name) => bus.device(name)?.iommuGroup?.id);
    expect([grouped(), outcomeOf(() => root.readlink('/sys/bus/fsl-mc/devices/dpni.0/iommu_group'))]).toEqual([[1, 1, undefined], 'ENOENT']);
    assign();
    expect(grouped()).toEqual([1, 1, 1]);
  });

  it('[fslmc 10] [fslmc D12] asks for the API version at boot, and once more before the first region of all', () => {
    const made = setUp();
    const { store, mc } = made;
    const versions: string[] = [];
    mc.watch({ answered: ({ command, version }) => { if (command === DPRC_GET_OBJ_REG || command === 0xa05) versions.push(`${command.toString(16)} v${version}`); } });
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    store('drivers/fsl_mc_dprc/bind', 'dprc.1');
    // The driver's own for each container, and none before their regions.
    expect(versions.filter((each) => each === 'a05 v1')).toHaveLength(2);
    expect(versions).toContain('15e v3');
  });

  it('[fslmc 14] [fslmc D8] removes children in the order in which they were added', () => {
    const { bus, store } = setUp();
    const gone: string[] = [];
    bus.listen({ busEvent: (event, { name }) => { if (event === 'del') gone.push(name); } });
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    expect(gone).toEqual(['dpbp.0', 'dpcon.0', 'dpmcp.0', 'dpni.0', 'dpni.1', 'dpio.0', 'dpio.1']);
  });

  it('[fslmc 15] [fslmc D25] lends no dpmcp older than 3.0', () => {
    const { mc, root } = setUp();
    mc.root.add({ type: 'dpmcp', id: 7, version: [2, 9] });
    root.open('/dev/dprc.1');
    expect(outcomeOf(() => root.open('/dev/dprc.1'))).toBe('ENOTSUPP');
  });

  it('[fslmc 20] [fslmc D17] [fslmc D18] tells type, driver and alias in uevent, and cuts an override at its first NUL', () => {
    const { root, store } = setUp();
    const folder = '/sys/bus/fsl-mc/devices';
    expect([root.readFile(`${folder}/dpmcp.0/uevent`), root.readFile(`${folder}/dpni.0/uevent`)]).toEqual([
      'DEVTYPE=fsl_mc_bus_dpmcp\nDRIVER=fsl_mc_allocator\nMODALIAS=fsl-mc:v00001957ddpmcp\n', 'DEVTYPE=fsl_mc_bus_dpni\nMODALIAS=fsl-mc:v00001957ddpni\n',
    ]);
    store('devices/dpni.0/driver_override', 'nul\0nul');
    expect(root.readFile(`${folder}/dpni.0/driver_override`)).toBe('nul\n');
  });
});

describe('vfio-fsl-mc', () => {
  it('[fslmc 18] [fslmc D29] gives the root container without regions', () => {
    const { store, bind, root, openGroup } = setUp();
    store('devices/dprc.1/driver_override', 'vfio-fsl-mc');
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    bind('dprc.1');
    const fd = openGroup('dprc.1').device('dprc.1');
    expect([getDeviceInfo(root, fd).numRegions, outcomeOf(() => getRegionInfo(root, fd, 0)), outcomeOf(() => root.pread(fd, new Uint8Array(64), 0))]).toEqual([0, 'EINVAL', 'EINVAL']);
    // Nobody listens there, and it can be made to.
    const seen = [root.readFile('/sys/bus/fsl-mc/autorescan'), store('autorescan', '1'), root.readFile('/sys/bus/fsl-mc/autorescan')];
    expect(seen).toEqual(['0\n', 1, '1\n']);
  });

  it('[fslmc 38] [fslmc D27] takes the interrupts of a container in turn: what was given back comes last', () => {
    const { assign, openGroup, root, bus, driver } = setUp();
    assign();
    const { device, group } = openGroup();
    const used = (name: string) => driver.vfioDevice(bus.device(name)!)?.interrupts.map(({ hwirq }) => hwirq - 230_000);
    const fd = device('dpni.0');
    const other = device('dpni.1');
    for (const each of [fd, other]) setIrqTriggers(root, each, 0, 0, [root.eventfd()]);
    expect([used('dpni.0'), used('dpni.1')]).toEqual([[0, 1], [2]]);
    const rows = (): string[] => root.readFile('/proc/interrupts').trim().split('\n').map((row) => row.replace(/^ *\d+: |\[\d+\]/g, ''));
    expect(rows()).toEqual(['ITS-fMSI 230000 Edge vfio-irq(dpni.0)', 'ITS-fMSI 230002 Edge vfio-irq(dpni.1)']);
    root.close(fd);
    expect(rows()).toHaveLength(1);
    setIrqTriggers(root, getDeviceFd(root, group, 'dpni.0'), 0, 0, [root.eventfd()]);
    expect(used('dpni.0')).toEqual([3, 4]);
  });

  it('[fslmc 37] [fslmc D28] opens a container before it looks for its group, and closes it where there is none', () => {
    const made = setUp({ iommu: false });
    const { prepare, bind, mc } = made;
    prepare();
    const log = heard(made);
    const before = mc.handles;
    expect([outcomeOf(bind), log.map((each) => each.split(' ')[0]), mc.handles]).toEqual(['EINVAL', ['805', '4', 'a05', '800'], before]);
  });

  it('[fslmc 37] without IOMMU, and the switch on, gives each object a group of its own, the container the first, then in scan order', () => {
    const { root, prepare, bind, store, names, group, leftOvers } = setUp({ iommu: false });
    root.writeFile('/sys/module/vfio/parameters/enable_unsafe_noiommu_mode', 'Y');
    prepare();
    bind();
    const inGroups = names().filter((name) => name !== 'dprc.1');
    expect(inGroups.map((name) => group(name))).toEqual(inGroups.map((_, n) => `${n}`));
    expect(root.readdir('/dev/vfio')).toEqual([...inGroups.map((_, n) => `noiommu-${n}`), 'vfio']);
    const [container, of] = [root.open('/dev/vfio/vfio'), (name: string): number => root.open(`/dev/vfio/noiommu-${group(name)}`)];
    const groups = ['dprc.2', 'dpni.0'].map((name) => of(name));
    for (const each of groups) setContainer(root, each, container);
    expect([1, 3, 8].map((type) => root.ioctl(container, VFIO_CHECK_EXTENSION, type))).toEqual([0, 0, 1]);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
    expect(outcomeOf(() => getDeviceFd(root, groups[0]!, 'dpni.0'))).toBe('ENODEV');
    const device = getDeviceFd(root, groups[1]!, 'dpni.0');
    for (const fd of [device, ...groups, container]) root.close(fd);
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([root.readdir('/dev/vfio'), leftOvers()['groups']]).toEqual([['vfio'], 0]);
  });
});

it('a watcher of the MC sees each command and its answer, and may have it hang, refuse or lie', () => {
  const made = setUp();
  const { mc, store, bus } = made;
  const answers: (number | undefined)[] = [];
  const stop = mc.watch({ answered: (_, answer) => { answers.push(answer === undefined ? undefined : get(answer, mc_header.status)); } });
  const fails = failing(made, 'dprc.1', ({ command }) => (command === 0x159 ? { status: 6 } : undefined));
  store('rescan', '1');
  fails();
  const lies = failing(made, 'dprc.1', ({ command }) => (command === 0x159 ? { patch: [[PARAMS + 4, Uint8Array.of(0)]] } : undefined));
  store('rescan', '1');
  lies();
  const hangs = failing(made, 'dprc.1', ({ command }) => (command === 0x159 ? { hangs: true } : undefined));
  store('rescan', '1');
  hangs();
  mc.recover();
  expect(answers.at(-1)).toBe(0);
  const refuses = failing(made, 'dprc.1', ({ command }) => (command === OPEN_COMMANDS.get('dpni') ? { status: 3 } : undefined));
  const before = mc.handles;
  expect([new McIo(made.host, mc.base).open('dpni', 0), mc.handles]).toEqual([-EACCES, before]);
  refuses();
  expect([answers[0], bus.devices.map(({ name }) => name), answers.at(-3)]).toEqual([6, ['dprc.1'], undefined]);
  stop();
  const count = answers.length;
  store('rescan', '1');
  expect(answers).toHaveLength(count);
});
