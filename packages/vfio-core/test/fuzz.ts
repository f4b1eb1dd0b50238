/** Random bytes into every request of every kind of fd: what user space can do without knowing the uAPI. */
import { DmaLog, getDeviceFd, MIG_STATE, Random, REQUESTS, setMigrationState, type Process, type ProfileName } from '@vsim/vfio-core';
import { randomArgument } from '../../../testing/nonsense.ts';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost } from './sample-device.ts';

const NUMBERS: readonly number[] = [...new Set(Object.values(REQUESTS)), 0x3b63, 0x3b76, 0x3b77, 0x3b79, 0, 0xffff_ffff];
const ERRNO_LIMIT = 4095;

/** A host with one fd of each kind, and memory to point to. */
function world(profile: ProfileName) {
  const sample = sampleHost(['a', 'b', 'c'], { profile });
  const { root, host } = sample;
  sample.bind('a');
  sample.bind('b');
  const migrating = new MigratingDevice(sample.vfio, sample.bus.device('c')!);
  migrating.logger = new DmaLog();
  host.scheduler.call('register', migrating.register());
  const emulated = addEmulated(sample, 'm');
  const used = openGroup(sample, 0);
  const soft = openGroup(sample, emulated.group);
  const moving = openGroup(sample, 2);
  const device = getDeviceFd(root, moving.group, 'c');
  const { featureInCore, preCopy } = host.profile;
  const stream = featureInCore ? setMigrationState(root, device, preCopy ? MIG_STATE.PRE_COPY : MIG_STATE.STOP_COPY) : root.eventfd();
  const fds = [
    root.open('/dev/vfio/vfio'),
    used.container,
    soft.container,
    root.open('/dev/vfio/1'),
    used.group,
    soft.group,
    getDeviceFd(root, used.group, 'a'),
    getDeviceFd(root, soft.group, 'm'),
    root.eventfd(),
    moving.container,
    moving.group,
    device,
    stream,
  ];
  const memory = root.mmap(-1, 32 * 4096);
  return { sample, fds, memory };
}

/** `count` calls. @throws if one throws, or answers what no kernel answers, or if anything is left over in the end. */
export function fuzz(profile: ProfileName, seed: number, count: number): void {
  const random = new Random(seed);
  const { sample, fds, memory } = world(profile);
  const { root, vfio, host } = sample;
  for (let i = 0; i < count; i += 1) {
    const fd = fds[random.below(fds.length)]!;
    const request = random.below(20) === 0 ? random.uint32() : NUMBERS[random.below(NUMBERS.length)]!;
    const input = randomArgument(random, memory);
    const told = call(root, fd, request, input);
    if (!Number.isInteger(told) || told < -ERRNO_LIMIT) throw new Error(`call ${i}: fd ${fd} request 0x${request.toString(16)} answers ${told}`);
    // What a lucky call has opened, or taken out of its container, is put back, so that every fd stays what it is.
    for (const open of root.fds) if (!fds.includes(open)) root.close(open);
  }
  const pages = host.pages.used;
  for (const fd of fds) root.close(fd);
  const left = [vfio.containers.size, root.mm.lockedPages, host.scheduler.threads.length, vfio.groups.length - 4, pages - host.pages.used];
  if (left.some((number) => number !== 0)) throw new Error(`left over: containers, locked pages, threads, groups, pages: ${left.join(', ')}`);
  for (const group of vfio.groups) if (group.references !== 1) throw new Error(`group ${group.name}: ${group.references} references`);
}

/** One call. One that waits for user space (5.13, a vaddr given up) goes on when its container is closed. */
function call(root: Process, fd: number, request: number, input: number | bigint | Uint8Array): number {
  const thread = root.start('fuzz', root.sys.ioctl(fd, request, input));
  return thread.finished ? thread.result() : 0;
}
