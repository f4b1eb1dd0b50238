/** Refusals that help: the errno is the kernel's, and the event says which rule it was and what to do. And the parameters of the module. */
import {
  ApicMsi,
  EACCES,
  EINVAL,
  ENODEV,
  GROUP_NOT_VIABLE,
  Host,
  NOT_COHERENT,
  NO_IOMMU_GROUP,
  Process,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  Vfio,
  VtdIommu,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { DENYLIST_DISABLED, INVALID_ID_STRING, PROBE_REFUSED, PciBus, PciFunction, VF_TOKEN_REFUSED, VfioPciDriver, buildConfig } from '../src/index.ts';
import { CARD, CARD_VF, attach, bridge, cardHost } from './card-host.ts';
import { EDU_NAME, bind, eduHost, open, type EduHost } from './edu-host.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const OTHER = '0000:00:09.0';

/** What sysfs `bind` answers: 5.x hides the probe's errno. */
function bindError({ host, process }: EduHost, name: string): number {
  process.writeFile(`/sys/bus/pci/devices/${name}/driver_override`, 'vfio-pci');
  return host.scheduler.call('bind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', name));
}

function refusals({ events }: EduHost, id: string): readonly string[] {
  return events.filter((event) => event.id === id).map(({ text }) => text);
}

describe.each(PROFILES)('%s refuses', (profile) => {
  const refused = profile === 'linux-5.10' || profile === 'linux-5.13' ? -ENODEV : -EINVAL;

  it('a bridge: bind what is behind it', () => {
    const made = eduHost({ profile });
    made.bus.plug(bridge(made.host, OTHER, 1));
    expect(bindError(made, OTHER)).toBe(refused);
    expect(refusals(made, PROBE_REFUSED.id)).toEqual([
      `${OTHER}: a bridge is not given to users: bind the devices behind it; a bridge does not stand in the way of its group`,
    ]);
  });

  it('a device whose isolation is broken, unless the module is told to take it', () => {
    const qat = { vendor: 0x8086, device: 0x0435 };
    const made = eduHost({ profile });
    made.bus.plug(new PciFunction(made.host, { address: OTHER, config: buildConfig(qat) }));
    expect(bindError(made, OTHER)).toBe(refused);
    expect(refusals(made, PROBE_REFUSED.id)).toEqual([
      `${OTHER}: its makers say that it is not isolated: load the module with disable_denylist=1 to take it all the same`,
    ]);
    const brave = eduHost({ profile, parameters: { disableDenylist: true } });
    brave.bus.plug(new PciFunction(brave.host, { address: OTHER, config: buildConfig(qat) }));
    expect(bindError(brave, OTHER)).toBeGreaterThan(0);
    expect(refusals(brave, DENYLIST_DISABLED.id)).toEqual([`${OTHER}: known to be unsafe, allowed by disable_denylist`]);
    expect(brave.process.readFile('/sys/module/vfio_pci/parameters/disable_denylist')).toBe('Y\n');
  });

  it('a device that is behind no IOMMU', () => {
    const made = eduHost({ profile });
    made.bus.plug(new PciFunction(made.host, { address: OTHER, config: buildConfig({ vendor: 1, device: 1 }) }), { group: null });
    expect(bindError(made, OTHER)).toBe(refused);
    expect(refusals(made, NO_IOMMU_GROUP.id)).toEqual([`${OTHER} has no IOMMU group`]);
  });

  it('a VF without the token of its PF, with another, and a token where there is none to show', () => {
    const made = cardHost({ profile });
    const { device, process } = made;
    expect(attach(made, device)).toBe(0);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '1');
    const vf = made.bus.device(CARD_VF)!;
    const ask = (name: string): number | undefined => made.driver.vfioDevice(vf)?.match(name);
    const uuid = '2ab74924-c335-45f4-9b16-8569e5b08258';
    expect([ask(CARD_VF), ask(`${CARD_VF} vf_token=${uuid}`), ask(CARD)]).toEqual([-EACCES, -EACCES, 0]);
    const text = `${CARD_VF}: the vf_token of its PF has to be given as "${CARD_VF} vf_token=UUID"; the PF's user sets it`;
    expect(made.events.filter(({ id }) => id === VF_TOKEN_REFUSED.id).map((event) => event.text)).toEqual([text, text]);

    const plain = eduHost({ profile });
    bind(plain.process, EDU_NAME);
    const { group } = open(plain.process);
    expect(plain.process.tryIoctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${EDU_NAME} vf_token=${uuid}\0`))).toBe(-EINVAL);
    expect(refusals(plain, VF_TOKEN_REFUSED.id)).toEqual([`${EDU_NAME}: a vf_token is given, and its PF is not vfio-pci's: leave it out`]);
  });
});

describe('a device whose DMA is not coherent', () => {
  class Incoherent extends VtdIommu {
    override readonly coherent: boolean = false;
  }

  it.each<[profile: ProfileName, error: number]>([
    ['linux-5.13', 0],
    ['linux-6.1', -EINVAL],
  ])('%s: %i, with the reason', (profile, error) => {
    const host = new Host({ profile });
    const events = host.trace.record();
    const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new Incoherent(host) });
    const device = bus.plug(new PciFunction(host, { address: OTHER, config: buildConfig({ vendor: 1, device: 1 }) }));
    const driver = new VfioPciDriver(new Vfio(host));
    host.scheduler.call('modprobe', bus.addDriver(driver));
    expect(host.scheduler.call('bind', bus.attach(driver, device))).toBe(error);
    const told = events.filter(({ id }) => id === NOT_COHERENT.id).map(({ text }) => text);
    expect(told).toEqual(error === 0 ? [] : [expect.stringContaining('the IOMMU of group 0 does not keep DMA coherent with the caches')]);
  });
});

describe('a group whose DMA another user has', () => {
  it('6.1: EPERM, and there is nobody to unbind', () => {
    const made = eduHost();
    const { process, bus, events } = made;
    bind(process, EDU_NAME);
    const group = bus.device(EDU_NAME)!.iommuGroup!;
    expect(group.claimDmaOwner({})).toBe(0);
    const user = new Process(made.host);
    const fd = user.open('/dev/vfio/0');
    const container = user.open('/dev/vfio/vfio');
    expect(user.tryIoctl(fd, VFIO_GROUP_SET_CONTAINER, new Uint8Array(new Int32Array([container]).buffer))).toBe(-1);
    expect(events.filter(({ id }) => id === GROUP_NOT_VIABLE.id).map(({ text }) => text)).toEqual(['group 0 is not viable: another user owns its DMA, or one of its devices is being bound']);
  });
});

describe('the module parameter ids', () => {
  function loaded(ids: string) {
    const made = eduHost();
    const { host, bus, vfio } = made;
    host.scheduler.call('rmmod', bus.removeDriver(made.driver));
    for (const [address, device] of [['0000:00:09.0', 0x10], ['0000:00:0a.0', 0x20]] as const) {
      const config = buildConfig({ vendor: 0x1d55, device, class: 0x02_0000, subsystemVendor: 0xaa, subsystem: 0xbb });
      bus.plug(new PciFunction(host, { address, config }));
    }
    host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(vfio, { ids })));
    const bound = bus.devices.filter(({ driverName }) => driverName === 'vfio-pci').map(({ name }) => name);
    return { ...made, bound };
  }

  it.each<[ids: string, bound: readonly string[]]>([
    ['1d55:10', ['0000:00:09.0']],
    ['1D55:0x10,,1d55:20', ['0000:00:09.0', '0000:00:0a.0']],
    ['1d55:ffffffff', ['0000:00:09.0', '0000:00:0a.0']],
    ['1d55:10:aa:bb:020000:ffff00', ['0000:00:09.0']],
    ['1d55:10:aa:bc', []],
    ['1d55:10:aa:bb:030000:ff0000', []],
    ['', []],
  ])('"%s" binds %j when the module is loaded', (ids, bound) => {
    const made = loaded(ids);
    expect(made.bound).toEqual(bound);
    expect(refusals(made, INVALID_ID_STRING.id)).toEqual([]);
  });

  it('an item with fewer than two fields is passed over, with a warning; the rest counts', () => {
    const made = loaded('1d55,nonsense,1d55:20');
    expect(made.bound).toEqual(['0000:00:0a.0']);
    expect(refusals(made, INVALID_ID_STRING.id)).toEqual(['1d55', 'nonsense'].map((text) => `invalid id string "${text}": expected vendor:device[:subvendor[:subdevice[:class[:class_mask]]]], in hex`));
  });

  it('has room for 1023 characters, and no file', () => {
    const made = loaded(`1d55:10${','.repeat(1023 - 7)}`);
    expect(made.bound).toEqual(['0000:00:09.0']);
    expect(made.process.readdir('/sys/module/vfio_pci/parameters')).toEqual(['disable_denylist', 'disable_idle_d3', 'disable_vga', 'enable_sriov', 'nointxmask']);
    expect(() => loaded('x'.repeat(1024))).toThrow(RangeError);
  });
});
