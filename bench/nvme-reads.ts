/** Random reads of 4 KiB from a served NVMe controller, one at a time, through our client. */
import { Random } from '../packages/vfio-core/src/index.ts';
import { NVME_ADMIN, NVME_IO, NVME_REGISTER } from '../packages/devices/src/index.ts';
import { ClientSession, RemoteDevice } from '../packages/vfio-user/src/index.ts';
import { connectTo, MemoryFd, SocketChannel } from '../packages/vfio-user/src/node/index.ts';
import { nsOf } from './measure.ts';

const PAGE = 4096;
const BLOCKS_OF_READ = 8;
const ENTRIES = 64;
const IOVA = 0x10_0000;
/** Admin queues, I/O queues, each a pair of pages, and the data. */
const PAGES = 8;
const DATA = 4;
const CONFIG = 7;

/** @param path where the server listens @param bytes of its disk @returns reads in a second */
export function nvmeReads(path: string, bytes: number, reads: number): number {
  const channel = new SocketChannel(connectTo(path));
  const session = new ClientSession(channel, { read: () => -14, write: () => -14 });
  const agreement = session.negotiate();
  if ('errno' in agreement) throw new Error(agreement.reason);
  const device = new RemoteDevice(session);
  const file = new MemoryFd(PAGES * PAGE);
  const { memory } = file;
  const descriptor = file.descriptor();
  must(device.mapDma(BigInt(IOVA), BigInt(PAGES * PAGE), 3, descriptor));
  descriptor.close();
  must(device.write(CONFIG, 4n, Uint8Array.of(6, 0)));
  const register = (at: number, value: number): void => { must(device.write(0, BigInt(at), new Uint8Array(Int32Array.of(value).buffer))); };
  const tails = [0, 0];
  const heads = [0, 0];
  const phases = [1, 1];
  const entry = new Int32Array(16);
  const entryBytes = new Uint8Array(entry.buffer);
  const completion = new Uint32Array(4);
  const completionBytes = new Uint8Array(completion.buffer);
  const run = (queue: number, words: readonly number[], dwords: readonly number[]): void => {
    entry.fill(0);
    entry.set(words);
    entry.set(dwords, 10);
    memory.write(2 * queue * PAGE + 64 * tails[queue]!, entryBytes);
    tails[queue] = (tails[queue]! + 1) % ENTRIES;
    register(NVME_REGISTER.DOORBELLS + 8 * queue, tails[queue]);
    memory.read((2 * queue + 1) * PAGE + 16 * heads[queue]!, completionBytes);
    if (((completion[3]! >>> 16) & 1) !== phases[queue] || completion[3]! >>> 17 !== 0) throw new Error(`no completion, or status ${completion[3]! >>> 17}`);
    heads[queue] = (heads[queue]! + 1) % ENTRIES;
    if (heads[queue] === 0) phases[queue] ^= 1;
    register(NVME_REGISTER.DOORBELLS + 8 * queue + 4, heads[queue]);
  };
  const size = ENTRIES - 1;
  register(NVME_REGISTER.AQA, (size << 16) | size);
  register(NVME_REGISTER.ASQ, IOVA);
  register(NVME_REGISTER.ACQ, IOVA + PAGE);
  register(NVME_REGISTER.CC, 0x0046_0001);
  run(0, [NVME_ADMIN.CREATE_CQ, 0, 0, 0, 0, 0, IOVA + 3 * PAGE], [(size << 16) | 1, 1]);
  run(0, [NVME_ADMIN.CREATE_SQ, 0, 0, 0, 0, 0, IOVA + 2 * PAGE], [(size << 16) | 1, (1 << 16) | 1]);
  const random = new Random(1);
  const places = bytes / PAGE;
  const read = (): void => { run(1, [NVME_IO.READ, 1, 0, 0, 0, 0, IOVA + DATA * PAGE], [random.below(places) * BLOCKS_OF_READ, 0, BLOCKS_OF_READ - 1]); };
  for (let n = 0; n < reads / 2; n += 1) read();
  const ns = nsOf(() => { for (let n = 0; n < reads; n += 1) read(); });
  session.close();
  file.close();
  return (reads * 1e9) / ns;
}

function must(code: number): void {
  if (code < 0) throw new Error(`refused with ${code}`);
}
