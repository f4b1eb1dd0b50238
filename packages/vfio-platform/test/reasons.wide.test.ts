/** What vfio-platform and vfio-amba refuse: each says which rule it was, and what decided [M14]. */
import {
  getIrqInfo,
  getRegionInfo,
  MAP_PRIVATE,
  setIrqTriggers,
  setIrqs,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { IrqLine } from '../src/index.ts';
import { NAME, setUp } from './set-up.ts';

const SPAN = 2 ** 40;
const PAGE = 0x1000;
const ETIMEDOUT = -110;
/** Of the device's three regions: memory, ports, and memory that is 0x10 bytes long and only read. */
const [PORTS, SHORT] = [SPAN, 2 * SPAN];

describe('a bind', () => {
  it.each([
    [{ firmware: {} }, `EINVAL vfio-platform/unidentified: ${NAME} has no ACPI companion, and no property compatible`],
    [{ firmware: { compatible: [] } }, `ENODATA vfio-platform/unidentified: ${NAME} has no ACPI companion, and 0 strings in compatible`],
    [{ firmware: { acpi: { hid: '' } } }, `EINVAL vfio-platform/unidentified: ${NAME} has the ACPI hardware id "", and no property compatible`],
    [{ withReset: false }, `ENOENT vfio-platform/no-reset: no reset function is found for ${NAME}`],
    [{ withReset: false, resetRequired: false }, `ENOENT vfio-platform/no-reset: no reset function is found for ${NAME}`],
    [{ group: false }, `EINVAL vfio/no-iommu-group: ${NAME} has no IOMMU group`],
  ])('of a device with %o', (init, told) => {
    const { bind, reasons } = setUp(init);
    expect(why(reasons, bind)).toBe(told);
  });

  it('of vfio-amba is told of a device that lacks a reset function, too', () => {
    const { bind, reasons } = setUp({ amba: true, withReset: false });
    expect(why(reasons, bind)).toBe(`ENOENT vfio-platform/no-reset: no reset function is found for ${NAME}`);
  });

  it('without driver_override finds no match', () => {
    const { root, reasons } = setUp();
    expect(why(reasons, () => root.writeFile('/sys/bus/platform/drivers/vfio-platform/bind', NAME))).toBe(`ENODEV sysfs/no-match: vfio-platform does not know ${NAME}`);
  });
});

describe('an open', () => {
  it('is told what the reset function answers', () => {
    const { bind, open, answers, reasons } = setUp();
    bind();
    answers.reset = ETIMEDOUT;
    expect(why(reasons, open)).toBe(`ETIMEDOUT vfio-platform/reset-error: the reset function of ${NAME} answers ETIMEDOUT`);
  });

  it('is told that the device does not wake up', () => {
    const { bind, open, device, reasons } = setUp();
    bind();
    device.runtimePm.resume = () => -5;
    expect(why(reasons, open)).toBe(`EIO vfio-platform/not-awake: the runtime status of ${NAME} is error`);
  });
});

describe('an open device', () => {
  const opened = (init = {}) => {
    const made = setUp(init);
    made.bind();
    const { root, irq, reasons, answers } = made;
    return { device: made.open().device, root, irq, reasons, answers };
  };

  it('says why it is not reset', () => {
    const { root, device, answers, reasons } = opened();
    answers.reset = ETIMEDOUT;
    expect(why(reasons, () => root.ioctl(device, VFIO_DEVICE_RESET))).toBe(`ETIMEDOUT vfio-platform/reset-error: the reset function of ${NAME} answers ETIMEDOUT`);
    const old = opened({ profile: 'linux-5.13', withReset: false, resetRequired: false });
    expect(why(old.reasons, () => old.root.ioctl(old.device, VFIO_DEVICE_RESET))).toBe(`EINVAL vfio-platform/no-reset: no reset function is found for ${NAME}`);
  });

  it('says which requests and indices it does not know', () => {
    const { root, device, reasons } = opened();
    expect(why(reasons, () => root.ioctl(device, 0x3b99))).toBe(`ENOTTY process/unknown-request: ${NAME} does not know 0x3b99`);
    expect(why(reasons, () => getRegionInfo(root, device, 3))).toBe('EINVAL vfio/no-index: VFIO_DEVICE_GET_REGION_INFO has no index 3');
    expect(why(reasons, () => getIrqInfo(root, device, 1))).toBe('EINVAL vfio/no-index: VFIO_DEVICE_GET_IRQ_INFO has no index 1');
  });

  it('says why a region is not read or written', () => {
    const { root, device, reasons } = opened();
    const bytes = new Uint8Array(4);
    expect(why(reasons, () => root.pread(device, bytes, 3 * SPAN))).toBe(`EINVAL vfio/device-offset: ${NAME} has nothing for 4 bytes at offset 0x30000000000`);
    expect(why(reasons, () => root.pread(device, bytes, PORTS))).toBe(`EINVAL vfio/device-offset: ${NAME} has nothing for 4 bytes at offset 0x10000000000: the region cannot be accessed so`);
    expect(why(reasons, () => root.pwrite(device, bytes, SHORT))).toBe(`EINVAL vfio/device-offset: ${NAME} has nothing for 4 bytes at offset 0x20000000000: the region cannot be accessed so`);
    expect(why(reasons, () => root.pread(device, bytes, SHORT + 0x10))).toBe(`EINVAL vfio/device-offset: ${NAME} has nothing for 4 bytes at offset 0x20000000010: it is past the end of the region`);
  });

  it('says why a region is not mapped', () => {
    const { root, device, reasons } = opened({ resources: [{ kind: 'mem', start: 0x900_0000, size: PAGE }, { kind: 'io', start: 0x3f8, size: 8 }, { kind: 'mem', start: 0x901_0000, size: PAGE, readOnly: true }] });
    const map = (offset: number, length = PAGE, flags?: number) => () => root.mmap(device, length, offset, 3, flags);
    const told = (offset: string, reason = '', length = PAGE) => `EINVAL vfio/device-offset: ${NAME} has nothing for ${length} bytes at offset ${offset}${reason}`;
    expect(why(reasons, map(3 * SPAN))).toBe(told('0x30000000000'));
    expect(why(reasons, map(0, PAGE, MAP_PRIVATE))).toBe(told('0x0', ': the mapping is private'));
    expect(why(reasons, map(0, PAGE + 5))).toBe(told('0x0', ': they leave the region', 2 * PAGE));
    expect(why(reasons, map(PORTS))).toBe(told('0x10000000000', ': the region cannot be mapped'));
    expect(why(reasons, map(SHORT))).toBe(told('0x20000000000', ': the region cannot be accessed so'));
    expect(why(reasons, map(0, 2 * PAGE))).toBe(told('0x0', ': they leave the region', 2 * PAGE));
  });

  it('says what is wrong with a request for interrupts', () => {
    const { root, device, reasons } = opened();
    const request = (action: number, count = 1) => () => setIrqs(root, device, 0, action, 0, count);
    expect(why(reasons, request(0))).toBe(`ENOTTY vfio/irq-action: interrupt 0 of ${NAME} does not have action 0x0`);
    expect(why(reasons, () => setIrqTriggers(root, device, 0, 0, []))).toBe(`EINVAL vfio/irq-alone: start 0, count 0 of interrupt 0 of ${NAME}`);
    expect(why(reasons, request(VFIO_IRQ_SET_ACTION_MASK, 0))).toBe(`EINVAL vfio/irq-alone: start 0, count 0 of interrupt 0 of ${NAME}`);
    expect(why(reasons, () => setIrqTriggers(root, device, 0, 0, [device]))).toBe(`EINVAL process/not-eventfd: fd ${device} is ${NAME}, not an eventfd`);
    expect(why(reasons, () => setIrqTriggers(root, device, 1, 0, [root.eventfd()]))).toBe('EINVAL vfio/irq-range: index 1 has 0 interrupts, and start is 0, count 1');
  });

  it('says at each request that the kernel did not get an interrupt when the device was opened [platform 32]', () => {
    const irq = new IrqLine(33, 'level-high');
    irq.request(() => undefined);
    const { root, device, reasons } = opened({ irqs: [irq] });
    const refused = `EBUSY vfio-platform/irq-not-granted: interrupt 0 of ${NAME} is line 33 (level-high), which was not to be had`;
    expect(why(reasons, () => setIrqTriggers(root, device, 0, 0, [root.eventfd()]))).toBe(refused);
    irq.free();
    expect(why(reasons, () => setIrqTriggers(root, device, 0, 0, [-1]))).toBe(refused);
    expect(why(reasons, () => setIrqs(root, device, 0, 0, 0, 1))).toBe(refused);
  });

  it('has one eventfd that unmasks, and none for an edge', () => {
    const unmask = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK;
    const { root, device, reasons } = opened();
    const give = () => root.ioctl(device, VFIO_DEVICE_SET_IRQS, new Uint8Array(Int32Array.of(24, unmask, 0, 0, 1, root.eventfd()).buffer));
    give();
    expect(why(reasons, give)).toBe(`EBUSY vfio-platform/mask-taken: interrupt 0 of ${NAME} has an eventfd to unmask it`);
    const edge = opened({ trigger: 'edge-rising' });
    expect(why(edge.reasons, () => setIrqs(edge.root, edge.device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1))).toBe(`EINVAL vfio/irq-action: interrupt 0 of ${NAME} does not have action 0x10`);
  });
});
