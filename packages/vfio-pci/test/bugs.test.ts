/** Bugs that vfio-pci once had, as scenarios; each test is named by the bug that it would see again. */
import {
  EAGAIN,
  EMFILE,
  EventFdContext,
  GROUP_NOT_VIABLE,
  IrqBypassManager,
  MIG_STATE,
  Random,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_RESET,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  getMigrationState,
  setIrqTriggers,
  setIrqs,
  setMigrationState,
  type IrqBypassConsumer,
  type IrqBypassProducer,
  type Process,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  EDU,
  NativeDriver,
  PciFunction,
  STEP_DONE,
  VfioRingNicDriver,
  buildConfig,
  createEdu,
  createRingNic,
  pciId,
  resetBus,
  type BarInit,
} from '../src/index.ts';
import { CARD, SIBLING, attach, bridge, cardHost } from './card-host.ts';
import { CONFIG, bind, eduHost, ioeventfd, open, openEdu, write16, write32 } from './edu-host.ts';

const INTX = VFIO_PCI_INTX_IRQ_INDEX;
const INTX_DISABLE = 0x400;
const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const FIRST = '0000:00:05.0';
const BAR: readonly BarInit[] = [{ index: 0, size: 0x1000 }];

function unmaskBy(process: Process, device: number, eventfd: number): void {
  const bytes = new Uint8Array(24);
  [bytes.length, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0, 1, eventfd].forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, word, true);
  });
  process.ioctl(device, 0x3b6e, bytes); // VFIO_DEVICE_SET_IRQS
}

describe('irqbypass', () => {
  it('[vfio V04] a producer that was refused is not taken away later: the token is another\'s', () => {
    const gone: IrqBypassProducer[] = [];
    class Spied extends IrqBypassManager {
      override unregisterProducer(producer: IrqBypassProducer): void {
        gone.push(producer);
        super.unregisterProducer(producer);
      }
    }
    const bypass = new Spied();
    const { host, bus, process } = eduHost({ bypass });
    const config = buildConfig({ vendor: 1, device: 1, bars: BAR, msix: { vectors: 4, bar: 0, pbaOffset: 0x800 } });
    bus.plug(new PciFunction(host, { address: FIRST, config, bars: BAR }), { group: 5 });
    bind(process, FIRST);
    const { device } = open(process, FIRST, 5);
    const eventfd = process.eventfd();
    const token = process.eventFdContext(eventfd);
    if (!(token instanceof EventFdContext)) throw new Error('no eventfd');
    let linked = 0;
    const consumer: IrqBypassConsumer = { token, addProducer: () => ((linked += 1), 0), delProducer: () => (linked -= 1) };
    bypass.registerConsumer(consumer);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfd, eventfd]);
    expect(linked).toBe(1);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 1, [-1]);
    expect([gone.length, linked]).toEqual([0, 1]);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [-1]);
    expect([gone.length, linked]).toEqual([1, 0]);
  });
});

describe('memory', () => {
  /** A function with a register, and something that happens while it is reset. */
  class Resettable extends PciFunction {
    onReset: (() => void) | undefined;
    readonly log: string[] = [];

    protected override barWrite(_bar: number, _offset: number, _width: number, value: number): void {
      this.log.push(`write ${value}`);
    }

    protected override reset(): void {
      this.log.push('reset');
      this.onReset?.();
      this.log.push('reset done');
    }
  }

  it.each(PROFILES)('[vfio V08] %s: an ioeventfd that is signalled during a reset writes after it, and once', (profile) => {
    const { host, bus, process } = eduHost({ profile });
    const config = buildConfig({ vendor: 1, device: 1, bars: BAR, express: true, flr: true });
    const fn = new Resettable(host, { address: FIRST, config, bars: BAR });
    bus.plug(fn, { group: 5 });
    bind(process, FIRST);
    const { device } = open(process, FIRST, 5);
    write16(process, device, CONFIG + 4, 2);
    const eventfd = process.eventfd();
    expect(ioeventfd(process, device, 0, 4, 7n, eventfd)).toBe(0);
    fn.onReset = () => process.write(eventfd, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    fn.log.length = 0;
    process.ioctl(device, VFIO_DEVICE_RESET, 0);
    expect(fn.log).toEqual(['reset', 'reset done', 'write 7']);
  });
});

describe('locks', () => {
  it('[vfio V20] a bus reset that meets a device whose lock is taken takes none: who holds it can go on to the others', () => {
    const made = cardHost();
    const { host, bus, device, process } = made;
    expect(attach(made, device)).toBe(0);
    const sibling = bus.device(SIBLING)!;
    host.scheduler.stopAt(STEP_DONE.device);
    const bound = process.start('bind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', SIBLING));
    expect(bound.outcome.state).toBe('held');
    expect(resetBus(sibling)).toBe(-EAGAIN);
    host.scheduler.release(STEP_DONE.device);
    expect(bound.finished).toBe(true);
    // The lock of the card, which came before, is free again.
    const unbound = process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD));
    expect(unbound.outcome.state).toBe('done');
    expect(resetBus(sibling)).toBe(0);
  });
});

describe('INTx', () => {
  const loopback = (process: Process, device: number): number => setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
  const unmask = (process: Process, device: number): number => setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);

  it.each<[profile: ProfileName, works: boolean]>([
    ['linux-5.10', true],
    ['linux-5.13', false],
    ['linux-6.1', true],
    ['linux-6.12', true],
  ])('[vfio V31] %s: a line of one\'s own that begins masked is requested switched off; its mask count is right', (profile, works) => {
    const { process, device } = openEdu({ profile, parameters: { nointxmask: true } });
    write16(process, device, CONFIG + 4, 2 | INTX_DISABLE);
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, INTX, 0, [eventfd]);
    // DisINTx of the device itself is not used: the line is up.
    expect(process.readEventfd(eventfd)).toBe(0n);
    write16(process, device, CONFIG + 4, 2);
    // 5.13: the handler ran while the line was being requested, which disabled it once more.
    expect(process.readEventfd(eventfd)).toBe(works ? 1n : 0n);
    write32(process, device, EDU.INTERRUPT_ACKNOWLEDGE, 1);
    unmask(process, device);
    write32(process, device, EDU.INTERRUPT_RAISE, 2);
    expect(process.readEventfd(eventfd) > 0n).toBe(works);
  });

  it.each(PROFILES)('[vfio V32] %s: masks by the user, by INTX_DISABLE and by the interrupt itself, in any order', (profile) => {
    const { process, device, edu } = openEdu({ profile });
    const eventfds = [process.eventfd(), process.eventfd()] as const;
    setIrqTriggers(process, device, INTX, 0, [eventfds[0]]);
    let [disabled, masked, line, signals, at] = [false, false, false, 0, 0];
    const random = new Random(1);
    const unmasked = (): void => {
      if (!masked || disabled) return;
      if (line) signals += 1;
      else masked = false;
    };
    for (let i = 0; i < 2000; i += 1) {
      switch (random.below(7)) {
        case 0:
          write16(process, device, CONFIG + 4, 2 | INTX_DISABLE);
          disabled = true;
          masked = true;
          break;
        case 1:
          write16(process, device, CONFIG + 4, 2);
          if (disabled) {
            disabled = false;
            unmasked();
          }
          break;
        case 2:
          setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
          masked = true;
          break;
        case 3:
          unmask(process, device);
          unmasked();
          break;
        case 4:
          write32(process, device, EDU.INTERRUPT_RAISE, 1);
          line = true;
          if (!masked) signals += 1;
          masked = true;
          break;
        case 5:
          write32(process, device, EDU.INTERRUPT_ACKNOWLEDGE, 1);
          line = false;
          break;
        default:
          at = 1 - at;
          // 5.13 frees and requests the line with it: an interrupt that is up and not masked comes then.
          setIrqTriggers(process, device, INTX, 0, [eventfds[at === 0 ? 0 : 1]]);
      }
      const told = Number(process.readEventfd(eventfds[at === 0 ? 0 : 1]));
      expect([told, (edu.command & INTX_DISABLE) !== 0], `step ${i}`).toEqual([signals, masked]);
      signals = 0;
    }
  });

  it.each(['linux-5.10', 'linux-6.1', 'linux-6.12'] as const)('[vfio V33] %s: the eventfd is swapped under a masked interrupt: the unmask tells the new one', (profile) => {
    const { process, device, edu } = openEdu({ profile });
    const [old, fresh] = [process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, INTX, 0, [old]);
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    expect(process.readEventfd(old)).toBe(1n);
    setIrqTriggers(process, device, INTX, 0, [fresh]);
    expect(edu.command & INTX_DISABLE).toBe(INTX_DISABLE); // the mask is the interrupt's, not the eventfd's
    unmask(process, device);
    expect([process.readEventfd(old), process.readEventfd(fresh)]).toEqual([0n, 1n]);
    loopback(process, device);
    expect([process.readEventfd(old), process.readEventfd(fresh)]).toEqual([0n, 1n]);
  });

  it.each(PROFILES)('[vfio V34] %s: an unmask that comes by eventfd after INTx is off does nothing, nor after it is on again', (profile) => {
    const { process, device, edu } = openEdu({ profile });
    const [trigger, unmasks] = [process.eventfd(), process.eventfd()];
    const kick = (): number => process.write(unmasks, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    setIrqTriggers(process, device, INTX, 0, [trigger]);
    unmaskBy(process, device, unmasks);
    setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    kick();
    expect(edu.command & INTX_DISABLE).toBe(0);
    setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    setIrqTriggers(process, device, INTX, 0, [trigger]);
    setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    kick();
    expect(edu.command & INTX_DISABLE).toBe(INTX_DISABLE);
    unmaskBy(process, device, unmasks); // there is none attached: no EBUSY
    expect(edu.command & INTX_DISABLE).toBe(0);
  });

  it.each(PROFILES)('[vfio V42] %s: a line that is another\'s: EBUSY, and nothing is left of INTx', (profile) => {
    const { host, bus, process, device } = openEdu({ profile, parameters: { nointxmask: true } });
    bus.plug(createEdu(host, '0000:00:06.0'), { group: 9 });
    bind(process, '0000:00:06.0');
    const second = open(process, '0000:00:06.0', 9);
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, INTX, 0, [eventfd]);
    for (let round = 0; round < 2; round += 1) expect(() => setIrqTriggers(process, second.device, INTX, 0, [eventfd])).toThrow('EBUSY');
    expect(() => loopback(process, second.device)).toThrow('EINVAL');
    setIrqTriggers(process, second.device, VFIO_PCI_MSI_IRQ_INDEX, 0, [eventfd]);
    setIrqs(process, second.device, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    setIrqs(process, device, INTX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    setIrqTriggers(process, second.device, INTX, 0, [eventfd]);
    write32(process, second.device, EDU.INTERRUPT_RAISE, 1);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });
});

describe('hot reset', () => {
  it('[vfio V40] reaches what is below the bridge, each once, and nothing beside it', () => {
    const { host, bus, process } = eduHost();
    const resets: string[] = [];
    class Function extends PciFunction {
      protected override reset(): void {
        resets.push(this.name);
      }
    }
    const plug = (address: string, group: number): void => {
      const config = buildConfig({ vendor: 1, device: 1, powerManagement: false });
      bus.plug(new Function(host, { address, config }), { group });
    };
    bus.plug(bridge(host, '0000:00:03.0', 1), { group: 3 });
    plug('0000:01:00.0', 4);
    plug('0000:01:00.1', 4);
    bus.plug(bridge(host, '0000:01:01.0', 2), { group: 5 });
    plug('0000:02:00.0', 6);
    plug('0000:00:04.0', 7);
    bind(process, '0000:01:00.0');
    const { device } = open(process, '0000:01:00.0', 4);
    const info = new Uint32Array([12 + 8 * 8, 0, 0xffff_ffff, ...new Array<number>(16).fill(0xdead_beef)]);
    const bytes = new Uint8Array(info.buffer);
    process.ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, bytes);
    const words = new Uint32Array(bytes.buffer);
    expect(words[2]).toBe(4);
    expect([...words.subarray(3, 13)]).toEqual([4, 0x00_01_0000, 4, 0x01_01_0000, 5, 0x08_01_0000, 6, 0x00_02_0000, 0xdead_beef, 0xdead_beef]);
    expect(resetBus(bus.device('0000:01:00.0')!)).toBe(0);
    expect(resets.toSorted()).toEqual(['0000:01:00.0', '0000:01:00.1', '0000:02:00.0']);
  });
});

describe('fds run out', () => {
  it('while a saving hands its stream out: EMFILE, the stream is let go once, the next saving has one of its own', () => {
    const { host, bus, vfio, process } = eduHost();
    bus.plug(createRingNic(host, FIRST), { group: 9 });
    host.scheduler.call('modprobe', bus.addDriver(new VfioRingNicDriver(vfio)));
    bind(process, FIRST, 'ring-nic-vfio-pci');
    const { device } = open(process, FIRST, 9);
    const fds: number[] = [];
    for (;;) {
      const fd = host.scheduler.call('open', process.sys.open('/dev/vfio/vfio', 2));
      if (fd < 0) {
        expect(fd).toBe(-EMFILE);
        break;
      }
      fds.push(fd);
    }
    const save = (): number => setMigrationState(process, device, MIG_STATE.STOP_COPY);
    expect(save).toThrow('EMFILE');
    for (const fd of fds) process.close(fd);
    expect(getMigrationState(process, device)).toBe(MIG_STATE.STOP_COPY);
    setMigrationState(process, device, MIG_STATE.RUNNING);
    const stream = save();
    const into = new Uint8Array(4096);
    expect(process.read(stream, into)).toBeGreaterThan(0);
    setMigrationState(process, device, MIG_STATE.RUNNING);
    process.close(stream);
  });
});

describe('a group', () => {
  it.each<[profile: ProfileName, set: number, get: number]>([
    ['linux-5.10', 0, -22],
    ['linux-5.13', 0, -22],
    ['linux-6.1', -1, -22],
    ['linux-6.12', -1, -22],
  ])('[vfio U05] %s: one function of two is vfio-pci\'s: refused at the open, with what has to be done', (profile, joined, given) => {
    const { host, bus, process, events } = eduHost({ profile });
    for (const address of ['0000:00:05.0', '0000:00:05.1']) {
      bus.plug(new PciFunction(host, { address, config: buildConfig({ vendor: 1, device: 2 }) }), { group: 5 });
    }
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('native', { ids: [pciId(1, 2)] })));
    process.writeFile('/sys/bus/pci/drivers/native/unbind', '0000:00:05.0');
    bind(process, '0000:00:05.0');
    const group = process.open('/dev/vfio/5');
    const container = process.open('/dev/vfio/vfio');
    const join = (): number => process.tryIoctl(group, VFIO_GROUP_SET_CONTAINER, new Uint8Array(new Int32Array([container]).buffer));
    const get = (): number => process.tryIoctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('0000:00:05.0\0'));
    expect(join()).toBe(joined);
    if (joined === 0) process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(get()).toBe(given);
    expect(events.filter(({ id }) => id === GROUP_NOT_VIABLE.id)).toMatchObject([{ fields: { group: '5', devices: ['0000:00:05.1 from native'] } }]);
    expect(events.find(({ id }) => id === GROUP_NOT_VIABLE.id)?.text).toBe('group 5 is not viable: unbind 0000:00:05.1 from native');
    process.writeFile('/sys/bus/pci/drivers/native/unbind', '0000:00:05.1');
    if (joined < 0) {
      expect(join()).toBe(0);
      process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    }
    expect(get()).toBeGreaterThanOrEqual(0);
  });
});

