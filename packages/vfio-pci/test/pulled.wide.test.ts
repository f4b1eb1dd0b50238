/**
 * A card is taken from the machine at every point of a user's session: between any two of his calls, and at every place in them where another
 * thread may run; by orderly removal, by pulling it, and by a link that fails. Whatever the user does then ends in an errno and not in a bug.
 */
import {
  MIG_STATE,
  Process,
  VFIO_DEVICE_RESET,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  mapDma,
  setContainer,
  setIrqTriggers,
  setMigrationState,
  unmapDma,
  type IoctlCaller,
  type IoctlInput,
  type Mapping,
  type Point,
  type ProfileName,
  type Sleep,
  type Sleeps,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { NO_REQUEST_EVENTFD, RING_NIC, RING_NIC_ENABLE } from '../src/index.ts';
import { CONFIG } from './edu-host.ts';
import { CARD, slotHost, type SlotHost } from './slot-host.ts';

const SECOND = 1e9;
const HERE: Point = { point: 'test/here' };
const WAYS = ['orderly removal', 'surprise removal', 'link down'] as const;
type Way = (typeof WAYS)[number];

/** What the user has got so far; a call that failed leaves -1. */
interface Session {
  readonly made: SlotHost;
  readonly user: Process;
  container: number;
  group: number;
  device: number;
  data: number;
  eventfd: number;
  memory: Mapping | undefined;
  bar: Mapping | undefined;
}

/** A request of the typed layer, made by a thread that may sleep. */
function* typed({ user }: Session, make: (caller: IoctlCaller) => unknown): Sleeps<number> {
  const calls: { readonly fd: number; readonly request: number; readonly argument: IoctlInput }[] = [];
  make({
    ioctl: (fd, request, argument = 0) => {
      calls.push({ fd, request, argument });
      return 0;
    },
  });
  let result = 0;
  for (const { fd, request, argument } of calls) result = yield* user.sys.ioctl(fd, request, argument);
  return result;
}

function* plain(act: () => unknown): Sleeps<unknown> {
  return act();
}

function* write(session: Session, offset: number, value: number): Sleeps<number> {
  return yield* session.user.sys.pwrite(session.device, new Uint8Array(Uint32Array.of(value).buffer), offset);
}

const sysfs = `/sys/bus/pci/devices/${CARD}`;

/** The session, call by call. */
const CALLS: readonly (readonly [name: string, call: (s: Session) => Sleeps<unknown>])[] = [
  ['driver_override', ({ user }) => user.sys.writeFile(`${sysfs}/driver_override`, 'ring-nic-vfio-pci')],
  ['drivers_probe', ({ user }) => user.sys.writeFile('/sys/bus/pci/drivers_probe', CARD)],
  [
    'open container',
    function* (s) {
      s.container = yield* s.user.sys.open('/dev/vfio/vfio', 2);
    },
  ],
  [
    'open group',
    function* (s) {
      const number = s.made.bus.device(CARD)?.iommuGroup?.id ?? 999;
      s.group = yield* s.user.sys.open(`/dev/vfio/${number}`, 2);
    },
  ],
  ['SET_CONTAINER', (s) => typed(s, (c) => setContainer(c, s.group, s.container))],
  ['SET_IOMMU', (s) => s.user.sys.ioctl(s.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)],
  ['mmap', (s) => plain(() => (s.memory = s.user.mmap(-1, 0x1_0000)))],
  [
    'MAP_DMA',
    (s) => typed(s, (c) => mapDma(c, s.container, { iova: 0x10_0000, vaddr: s.memory?.address ?? 0, size: 0x1_0000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE })),
  ],
  [
    'GET_DEVICE_FD',
    function* (s) {
      s.device = yield* s.user.sys.ioctl(s.group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${CARD}\0`));
    },
  ],
  ['write COMMAND', (s) => write(s, CONFIG + 4, 6)],
  [
    'mmap BAR',
    (s) =>
      plain(() => {
        const bar = s.user.tryMmap(s.device, 0x1000, 0, 3, 1);
        s.bar = typeof bar === 'number' ? undefined : bar;
      }),
  ],
  ['arm REQ', (s) => typed(s, (c) => setIrqTriggers(c, s.device, VFIO_PCI_REQ_IRQ_INDEX, 0, [s.eventfd]))],
  ['arm MSI-X', (s) => typed(s, (c) => setIrqTriggers(c, s.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [s.eventfd, s.eventfd]))],
  ['write ring base', (s) => write(s, RING_NIC.QUEUES + RING_NIC.BASE, 0x10_0000)],
  ['write ring size', (s) => write(s, RING_NIC.QUEUES + RING_NIC.SIZE, 8)],
  ['write CONTROL', (s) => write(s, RING_NIC.CONTROL, RING_NIC_ENABLE)],
  ['doorbell: DMA', (s) => write(s, RING_NIC.QUEUES + RING_NIC.TAIL, 4)],
  ['interrupt', (s) => plain(() => s.made.card.raise(1))],
  ['load through mapping', (s) => plain(() => s.bar?.read(RING_NIC.ID, 4))],
  ['VFIO_DEVICE_RESET', (s) => s.user.sys.ioctl(s.device, VFIO_DEVICE_RESET, 0)],
  ['migration to STOP', (s) => typed(s, (c) => setMigrationState(c, s.device, MIG_STATE.STOP))],
  [
    'migration to STOP_COPY',
    function* (s) {
      let answer: Uint8Array = new Uint8Array(16);
      const result = yield* typed(s, (c) =>
        setMigrationState(
          {
            ioctl: (fd, request, argument) => {
              if (argument instanceof Uint8Array) answer = argument;
              return c.ioctl(fd, request, argument);
            },
          },
          s.device,
          MIG_STATE.STOP_COPY,
        ),
      );
      s.data = result < 0 ? -1 : new DataView(answer.buffer, answer.byteOffset).getInt32(12, true);
    },
  ],
  ['read migration data', (s) => s.user.sys.read(s.data, new Uint8Array(16))],
  ['migration to RUNNING', (s) => typed(s, (c) => setMigrationState(c, s.device, MIG_STATE.RUNNING))],
  ['close data', (s) => s.user.sys.close(s.data)],
  ['munmap BAR', (s) => plain(() => s.bar?.unmap())],
  ['close device', (s) => s.user.sys.close(s.device)],
  ['UNMAP_DMA', (s) => typed(s, (c) => unmapDma(c, s.container, 0x10_0000, 0x1_0000))],
  ['close group', (s) => s.user.sys.close(s.group)],
  ['close container', (s) => s.user.sys.close(s.container)],
  ['exit', ({ user }) => user.sys.exit()],
];

/** The whole session as one thread; before each call there is a point of its own. */
function* run(session: Session, seen: (name: string) => void): Sleeps<void> {
  let last = 'the start';
  for (const [name, call] of CALLS) {
    seen(`between ${last} and ${name}`);
    yield HERE;
    const body = call(session);
    for (let step = body.next(); step.done !== true; step = body.next()) {
      seen(`in ${name} at ${nameOf(step.value)}`);
      yield step.value;
    }
    last = name;
  }
}

function nameOf(at: Point | Sleep): string {
  return 'point' in at ? at.point : at.on.what;
}

/** `body`, held before its `n`-th yield; the name of that place. */
function* held(session: Session, n: number, place: { name: string | undefined }): Sleeps<void> {
  let name = '';
  const body = run(session, (at) => (name = at));
  let count = 0;
  for (let step = body.next(); step.done !== true; step = body.next()) {
    if (count === n) {
      place.name = name;
      yield HERE;
    }
    count += 1;
    if (step.value !== HERE) yield step.value;
  }
}

function take(made: SlotHost, root: Process, way: Way): void {
  if (way === 'orderly removal') root.start('power off', root.sys.writeFile('/sys/bus/pci/slots/7/power', '0'));
  else if (way === 'surprise removal') made.port.surpriseRemove();
  else made.port.linkDown();
}

/** One session with the card taken at its `n`-th point. @returns the name of the point; undefined past the last */
function takeAt(profile: ProfileName, way: Way, n: number): string | undefined {
  const made = slotHost({ profile });
  const { host, bus, events } = made;
  const root = new Process(host, { name: 'root' });
  const user = new Process(host, { name: 'user' });
  const session: Session = { made, user, container: -1, group: -1, device: -1, data: -1, eventfd: user.eventfd(), memory: undefined, bar: undefined };
  const place: { name: string | undefined } = { name: undefined };
  host.scheduler.stopAt(HERE);
  const thread = host.scheduler.spawn('session', held(session, n, place));
  if (thread.outcome.state !== 'held') return undefined;
  take(made, root, way);
  host.scheduler.release(HERE);
  host.scheduler.advance(60 * SECOND);
  const where = `${way} ${place.name ?? ''} (${profile})`;
  expect(thread.outcome, where).toEqual({ state: 'done', value: undefined });
  // Before REQ is armed the kernel says that nobody is asked.
  expect(events.filter(({ id, severity }) => (severity === 'bug' || severity === 'warn') && id !== NO_REQUEST_EVENTFD.id), where).toEqual([]);
  expect(host.scheduler.threads.map(({ name, outcome }) => `${name}: ${JSON.stringify(outcome)}`), where).toEqual([]);
  expect(bus.device(CARD), where).toBeUndefined();
  expect(root.readdir('/dev/vfio'), where).toEqual(['vfio']);
  expect(user.fds, where).toEqual([]);
  return place.name;
}

describe.each(['linux-5.13', 'linux-6.1', 'linux-7.3'] satisfies ProfileName[])('%s: a card that goes in the middle of a session', (profile) => {
  it.each(WAYS)('by %s', (way) => {
    const places: string[] = [];
    for (let name = takeAt(profile, way, 0); name !== undefined; name = takeAt(profile, way, places.length)) places.push(name);
    const distinct = new Set(places);
    console.log(`${profile}, ${way}: ${places.length} points, ${distinct.size} distinct:\n  ${[...distinct].join('\n  ')}`);
    expect(distinct.size).toBeGreaterThanOrEqual(40);
  });
});
