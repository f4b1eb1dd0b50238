/** container.ts: a container made, bound, opened, walked through a mapped portal, and taken apart; nothing is left of it. */
import { expect, it } from 'vitest';
import { ApicMsi, get, Host, Mmu500Iommu, Process, Vfio } from '@vsim/vfio-core';
import { describeCommand, FslMcBus, ManagementComplex, VfioFslMcDriver } from '@vsim/vfio-fslmc';
import { bind, Firmware, makeContainer, openContainer, takeApart, throughKernel } from './container.ts';
import { LAYOUT } from './layout.ts';

it('a container for DPDK is made, bound, opened through its portal and taken apart', () => {
  const host = new Host({ profile: 'linux-6.1' });
  const mc = ManagementComplex.fromDpl(host, LAYOUT, { release: '10.36.0' });
  const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
  host.scheduler.call('boot', bus.start());
  host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));
  const user = new Process(host, { name: 'root' });
  const devices = () => bus.devices.map(({ name, driverName }) => `${name} ${driverName ?? '-'}`);
  const [before, left] = [devices(), [mc.handles, mc.places, bus.portals]];
  const said: string[] = [];
  const stop = mc.watch({ answered: (command, answer) => { said.push(describeCommand(command, answer)); } });

  const fd = user.open('/dev/dprc.1');
  const firmware = new Firmware(throughKernel(user, fd));
  const container = makeContainer(firmware, 3);
  expect(said).toContain('dprc.1 portal 0: dprc.1 dprc.create_cont v2 -> ok');
  // Linux has heard of it, and no driver has it.
  expect(devices()).toEqual([...before, 'dprc.2 -']);

  bind(user, container);
  expect(devices().slice(before.length)).toEqual(['dprc.2', 'dpmcp.4', 'dpbp.0', 'dpbp.1', 'dpcon.0', 'dpni.0', 'dpio.0'].map((name) => `${name} vfio-fsl-mc`));
  const open = openContainer(user, container, 4);
  expect(open.mc.list(open.token)).toEqual(['dpni.0', 'dpmcp.4', 'dpbp.0', 'dpbp.1', 'dpcon.0', 'dpio.0']);
  const dpni = open.mc.open('dpni', 0);
  const attributes = open.mc.ask(0x004, 6, dpni).params;
  expect([get(attributes, [4, 'u8']), get(attributes, [5, 'u8']), [...open.mc.ask(0x263, 1, dpni).params.subarray(2, 8)]]).toEqual([8, 1, [0, 0, 0, 0, 0, 4]]);
  expect(() => { open.mc.open('dpmac', 3); }).toThrow('status 6');
  expect(said.at(-1)).toBe('dprc.2 portal 5: dpmac.open v1 dpmac.3 -> configuration error');

  // As DPDK ends: what it opened stays open.
  open.close();
  takeApart(user, firmware, container);
  user.close(fd);
  host.scheduler.settle();
  stop();
  expect([devices(), [mc.handles, mc.places, bus.portals], mc.links.all, host.scheduler.threads]).toEqual([before, left, [], []]);
});
