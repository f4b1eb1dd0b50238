/** The ring NIC under its own VFIO driver: frames by DMA, vectors, dirty pages, migration; and what any VFIO device has to answer. */
import {
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_PCI_MSIX_IRQ_INDEX,
  mapDma,
  setIrqTriggers,
  type ProfileName,
} from '@vsim/vfio-core';
import { migrationSuite, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import { DESCRIPTOR_BYTES, DESCRIPTOR_DONE, RING_NIC, RING_NIC_ENABLE, RING_NIC_ID, VfioRingNicDriver, createRingNic } from '../src/index.ts';
import { CONFIG, bind, eduHost, open, read32, write16, write32 } from './edu-host.ts';

const NAME = '0000:00:05.0';
const DRIVER = 'ring-nic-vfio-pci';
const IOVA = 0x10_0000;
const RING = 0;
const BUFFERS = 0x1000;
const SIZE = 8;

function nicHost(profile: ProfileName = 'linux-6.1') {
  const made = eduHost({ profile });
  const nic = createRingNic(made.host, NAME);
  made.bus.plug(nic, { group: 9 });
  made.host.scheduler.call('modprobe', made.bus.addDriver(new VfioRingNicDriver(made.vfio)));
  bind(made.process, NAME, DRIVER);
  return { ...made, nic };
}

/** Open, enabled, with 64 KiB at IOVA, and queues 0 and 1 ready. */
function running() {
  const made = nicHost();
  const { process, nic } = made;
  const opened = open(process, NAME, 9);
  const memory = process.mmap(-1, 0x1_0000, 0, PROT_READ | PROT_WRITE, MAP_SHARED);
  mapDma(process, opened.container, { iova: IOVA, vaddr: memory.address, size: 0x1_0000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
  write16(process, opened.device, CONFIG + 4, 6);
  const register = (queue: number, at: number): number => RING_NIC.QUEUES + queue * RING_NIC.QUEUE_STRIDE + at;
  for (const queue of [0, 1]) {
    write32(process, opened.device, register(queue, RING_NIC.BASE), IOVA + RING + queue * SIZE * DESCRIPTOR_BYTES);
    write32(process, opened.device, register(queue, RING_NIC.SIZE), SIZE);
  }
  write32(process, opened.device, RING_NIC.CONTROL, RING_NIC_ENABLE);
  const vectors = [process.eventfd(), process.eventfd()];
  setIrqTriggers(process, opened.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, vectors);
  const descriptor = (queue: number, index: number): number => RING + (queue * SIZE + index) * DESCRIPTOR_BYTES;
  const post = (queue: number, index: number, address: number, length: number): void => {
    const at = descriptor(queue, index);
    [address, 0, length, 0].forEach((word, i) => memory.write(at + 4 * i, 4, word));
  };
  const doorbell = (queue: number, tail: number): void => write32(process, opened.device, register(queue, RING_NIC.TAIL), tail);
  const state = (queue: number, at: number): number => read32(process, opened.device, register(queue, at));
  return { ...made, ...opened, memory, vectors, descriptor, post, doorbell, state, nic };
}

describe('the ring NIC', () => {
  it('sends frames from memory, one interrupt for a doorbell', () => {
    const { process, nic, memory, post, doorbell, descriptor, vectors, state, device } = running();
    expect(read32(process, device, RING_NIC.ID)).toBe(RING_NIC_ID);
    const sent: string[] = [];
    nic.transmit = (queue, frame) => sent.push(`${queue}:${frame.join()}`);
    memory.writeBytes(BUFFERS, Uint8Array.of(1, 2, 3, 4, 5));
    post(0, 0, IOVA + BUFFERS, 3);
    post(0, 1, IOVA + BUFFERS + 3, 2);
    doorbell(0, 2);
    expect(sent).toEqual(['0:1,2,3', '0:4,5']);
    expect([state(0, RING_NIC.HEAD), state(0, RING_NIC.STATUS)]).toEqual([2, 0]);
    expect(memory.read(descriptor(0, 1) + 12, 4)).toBe(DESCRIPTOR_DONE);
    expect(vectors.map((fd) => process.readEventfd(fd))).toEqual([1n, 0n]);
  });

  it('receives into what the driver posted, and refuses what does not fit', () => {
    const { process, nic, memory, post, doorbell, descriptor, vectors } = running();
    expect(nic.receive(1, Uint8Array.of(1))).toBe(false);
    post(1, 0, IOVA + BUFFERS, 4);
    doorbell(1, 1);
    expect(nic.receive(1, new Uint8Array(5))).toBe(false);
    expect(nic.receive(1, Uint8Array.of(9, 8, 7))).toBe(true);
    expect([...memory.readBytes(BUFFERS, 4)]).toEqual([9, 8, 7, 0]);
    expect(memory.read(descriptor(1, 0) + 8, 4)).toBe(3);
    expect(vectors.map((fd) => process.readEventfd(fd))).toEqual([0n, 1n]);
    expect(nic.receive(1, Uint8Array.of(1))).toBe(false);
    expect(nic.receive(0, Uint8Array.of(1))).toBe(false);
  });

  it('stops a queue at a fault, with an event, until its size is written anew', () => {
    const { post, doorbell, state, events, nic } = running();
    post(0, 0, 0x7000_0000, 4);
    doorbell(0, 1);
    expect([state(0, RING_NIC.STATUS), state(0, RING_NIC.HEAD)]).toEqual([1, 0]);
    expect(events.find(({ id }) => id === 'pci/ring-nic-fault')).toMatchObject({ fields: { queue: 0, iova: 0x7000_0000 } });
    nic.resetFunction();
    expect(nic.save()).toEqual(createRingNic(nic.host, '0000:00:06.0').save());
  });

  it('logs the pages that it writes, and no others', () => {
    const { nic, post, doorbell } = running();
    const report = (): readonly bigint[] => {
      const pages: bigint[] = [];
      nic.dmaLog.readAndClear({ iova: BigInt(IOVA), length: 0x1_0000n }, (iova) => pages.push(iova));
      return pages;
    };
    post(1, 0, IOVA + 0x3ffe, 64);
    doorbell(1, 1);
    nic.dmaLog.start([{ iova: BigInt(IOVA), length: 0x1_0000n }], 4096n);
    expect(nic.receive(1, new Uint8Array(4))).toBe(true);
    expect(report()).toEqual([0x10_0000n, 0x10_3000n, 0x10_4000n]); // the ring, and a frame over the edge of a page
    expect(report()).toEqual([]);
    nic.dmaLog.stop();
    expect(nic.dmaLog.on).toBe(false);
  });

  it('takes back its own state and nothing else', () => {
    const { nic } = running();
    const state = nic.save();
    const other = createRingNic(nic.host, '0000:00:06.0');
    expect([other.load(state), other.save().join() === state.join()]).toEqual([true, true]);
    const bad = state.slice();
    bad[0] = bad[0]! ^ 1;
    expect([other.load(bad), other.load(state.subarray(1)), other.load(new Uint8Array(0))]).toEqual([false, false, false]);
    expect(other.save()).toEqual(state);
  });

  it('takes any register program: HEAD and TAIL stay inside the ring', () => {
    const step = fc.record({ at: fc.nat(0x1a0).map((at) => at & ~3), value: fc.oneof(fc.nat(1100), fc.integer({ min: 0, max: 0xffff_ffff })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { process, device, nic } = running();
        for (const { at, value } of steps) write32(process, device, at, value);
        for (let queue = 0; queue < 4; queue += 1) {
          const at = RING_NIC.QUEUES + queue * RING_NIC.QUEUE_STRIDE;
          const size = read32(process, device, at + RING_NIC.SIZE);
          for (const register of [RING_NIC.HEAD, RING_NIC.TAIL]) expect(read32(process, device, at + register)).toBeLessThan(Math.max(size, 1));
        }
        expect(createRingNic(nic.host, '0000:00:06.0').load(nic.save())).toBe(true);
      }),
      parameters(),
    );
  });
});

describe.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('on %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { process, bus } = nicHost(profile);
    return { process, device: NAME, group: 9, unbind: () => process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/${DRIVER}/unbind`, NAME)) };
  })) it(`the ring NIC: ${name}`, run);

  for (const { name, run } of vfioDeviceSuite(() => {
    const { process, bus } = eduHost({ profile });
    bind(process, '0000:00:02.0');
    return { process, device: '0000:00:02.0', group: 0, unbind: () => process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/vfio-pci/unbind`, '0000:00:02.0')) };
  })) it(`edu: ${name}`, run);
});

describe('migration of the ring NIC', () => {
  for (const { name, run } of migrationSuite(() => {
    const { process } = nicHost();
    const { device } = open(process, NAME, 9);
    return { process, device };
  })) it(name, run);
});
