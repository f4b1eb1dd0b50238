/** The driver at work: it identifies the disk, writes blocks, and reads them again. */
// #region main
import { ADDRESS, bench } from './bench.ts';
import { BLOCK } from './nvme-device.ts';
import { NvmeDriver, NvmeError } from './nvme-driver.ts';

const { process } = bench();
const nvme = new NvmeDriver(process, ADDRESS);
console.log(`${nvme.model}, ${nvme.blocks} blocks`);
for (let n = 0; n < 40; n += 1) nvme.write(n, new Uint8Array(BLOCK).fill(n)); // more than the queues have entries
console.log('blocks 38 and 39 hold', [...new Set(nvme.read(38, 2))].join(' and '));
try {
  nvme.read(nvme.blocks, 1);
} catch (error) {
  if (!(error instanceof NvmeError)) throw error;
  console.log('behind the end:', error.message);
}
nvme.close();
console.log('files left', process.fds.length);
// #endregion main
