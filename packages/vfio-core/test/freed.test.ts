/** What comes through a door of a device that its driver has freed too early, or too often: an event at each, whatever the door. */
import {
  EventFdContext,
  getDeviceFd,
  getDeviceInfo,
  IrqBypassManager,
  mapDma,
  MIG_STATE,
  pinPages,
  setMigrationState,
  unmapDma,
  USE_AFTER_FREE,
  VFIO_DEVICE_FEATURE,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_MIG_GET_PRECOPY_INFO,
  Virqfd,
  type HostIrq,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost, type SampleVfioDevice } from './sample-device.ts';

/** A device that is bound and open, and then freed by a driver that should not have. */
function freed() {
  const sample = sampleHost();
  const events = sample.host.trace.record();
  sample.bind('a');
  const device: SampleVfioDevice = sample.device('a');
  const fds = openGroup(sample, 0);
  const fd = getDeviceFd(sample.root, fds.group, 'a');
  const operations = (): readonly string[] => events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text.slice('a: '.length, -' after its structure was freed'.length));
  /** What `act` enters once the device is freed. */
  const after = (act: () => void): readonly string[] => {
    device.free();
    act();
    return operations();
  };
  return { ...sample, device, fds, fd, operations, after };
}

const IRQ: HostIrq = { number: 1, message: { address: 0, data: 0 }, setHandler: () => undefined, mask: () => undefined, unmask: () => undefined };

describe('a freed device', () => {
  it('is entered by nobody in a whole life', () => {
    const { root, fd, fds, device, unbind, operations } = freed();
    getDeviceInfo(root, fd);
    const unbinding = unbind('a');
    root.close(fd);
    root.close(fds.group);
    expect([unbinding.finished, device.freed, operations()]).toEqual([true, true, []]);
  });

  it.each(['read', 'write', 'mmap', 'ioctl', 'feature'] as const)('is told by %s of an fd that stayed', (operation) => {
    const { root, fd, after } = freed();
    const act = {
      read: () => root.pread(fd, new Uint8Array(4), 0),
      write: () => root.pwrite(fd, new Uint8Array(4), 0),
      mmap: () => outcomeOf(() => root.mmap(fd, 4096)),
      ioctl: () => getDeviceInfo(root, fd),
      feature: () => outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_FEATURE, new Uint8Array(8))),
    };
    expect(after(act[operation])).toEqual([operation]);
  });

  it('is told by its close: of the driver, and of the reference', () => {
    const { root, fd, after } = freed();
    expect(after(() => root.close(fd))).toEqual(['close', 'put']);
  });

  it('is told by a second open: its name, its reference, its driver', () => {
    const { root, fds, after } = freed();
    expect(after(() => getDeviceFd(root, fds.group, 'a'))).toEqual(['match', 'get', 'open']);
  });

  it('is told by who asks for it back', () => {
    const { after, unbind } = freed();
    expect(after(() => unbind('a'))).toEqual(['unregister', 'request']);
  });

  it('is told by one that registers it again', () => {
    const { host, device, after } = freed();
    expect(after(() => host.scheduler.call('register', device.register()))).toEqual(['register']);
  });

  it('is told by an eventfd of the kernel that nobody disabled', () => {
    const { device, after } = freed();
    const context = new EventFdContext('e');
    let acted = 0;
    new Virqfd(device, context, () => (acted += 1), () => undefined);
    expect([after(() => context.signal()), acted]).toEqual([['eventfd'], 1]);
  });

  it('is told by an interrupt whose handler stayed', () => {
    const { device, after } = freed();
    const handler = device.handler('interrupt', (line: number) => line + 1);
    expect([handler(1), after(() => handler(2))]).toEqual([2, ['interrupt']]);
  });

  it('is told by irqbypass, which brings its producer a consumer and takes it away', () => {
    const { device, after } = freed();
    const manager = new IrqBypassManager();
    const token = new EventFdContext('e');
    const consumer = { token, addProducer: () => 0, delProducer: () => undefined };
    manager.registerProducer({ token, irq: IRQ, enter: (operation) => device.enter(operation) });
    expect(after(() => {
      manager.registerConsumer(consumer);
      manager.unregisterConsumer(consumer);
    })).toEqual(['irq bypass', 'irq bypass']);
  });

  it('is told by an unmap that it has to hear of', () => {
    const sample = sampleHost(['a'], { profile: 'linux-6.1' });
    const events = sample.host.trace.record();
    sample.bind('a');
    const { root } = sample;
    const { group, device } = addEmulated(sample, 'e');
    const fds = openGroup(sample, group);
    getDeviceFd(root, fds.group, 'e');
    mapDma(root, fds.container, { vaddr: root.mmap(-1, 0x1000).address, iova: 0, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ });
    sample.host.scheduler.call('pin', pinPages(device, [0], 1));
    device.pinned.add(0);
    device.free();
    unmapDma(root, fds.container, 0, 0x1000);
    expect(new Set(events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text))).toEqual(new Set(['e: unmap after its structure was freed']));
  });

  it('is told by the data file of a migration that asks it for its state, and by none that only moves bytes', () => {
    const sample = sampleHost(['a'], { profile: 'linux-6.12' });
    const { host, root, bus, vfio } = sample;
    const events = host.trace.record();
    const device = new MigratingDevice(vfio, bus.device('a')!);
    host.scheduler.call('register', device.register());
    const fd = getDeviceFd(root, openGroup(sample, 0).group, 'a');
    const pre = setMigrationState(root, fd, MIG_STATE.PRE_COPY);
    const info = Uint8Array.from({ length: 24 }, (_, i) => (i === 0 ? 24 : 0));
    root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info);
    device.free();
    root.read(pre, new Uint8Array(1));
    const told = () => events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text);
    expect(told()).toEqual([]);
    root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info);
    expect(told()).toEqual(['a: migration data after its structure was freed']);
  });
});
