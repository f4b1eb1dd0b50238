/** A driver under test without hardware: what it does when all goes well, and what becomes of it when something does not. */
import { describe, expect, it } from 'vitest';
import { failOn } from '@vsim/vfio-core/testing';
import { ADDRESS, bench } from './bench.ts';
import { BLOCK, STATUS } from './nvme-device.ts';
import { NvmeDriver, NvmeError } from './nvme-driver.ts';

describe('the driver', () => {
  it('identifies the disk', () => {
    const { process } = bench();
    const { model, blocks } = new NvmeDriver(process, ADDRESS);
    expect([model, blocks]).toEqual(['vsim example disk', 2048]);
  });

  // #region wraps
  it('reads what it wrote, also after its queues have wrapped', () => {
    const { host, process } = bench();
    const check = failOn(host, 'fault');
    const nvme = new NvmeDriver(process, ADDRESS);
    for (let n = 0; n < 50; n += 1) nvme.write(n, new Uint8Array(BLOCK).fill(n));
    expect(nvme.read(49, 1)).toEqual(new Uint8Array(BLOCK).fill(49));
    expect(nvme.read(0, 2).at(-1)).toBe(1);
    check.expectNone();
  });
  // #endregion wraps

  // #region refused
  it('tells of a block that there is not, and goes on', () => {
    const { process } = bench();
    const nvme = new NvmeDriver(process, ADDRESS);
    expect(() => nvme.read(2048, 1)).toThrow(new NvmeError(STATUS.LBA_OUT_OF_RANGE));
    expect(nvme.read(2047, 1)).toHaveLength(BLOCK);
  });
  // #endregion refused

  // #region reset
  it('fails, and does not hang, when the disk is reset under it', () => {
    const { disk, process } = bench();
    const nvme = new NvmeDriver(process, ADDRESS);
    disk.resetFunction();
    expect(() => nvme.read(0, 1)).toThrow('no interrupt came');
  });
  // #endregion reset

  // #region leaves
  it('leaves no file and no mapping behind, so that another can have the disk', () => {
    const { process } = bench();
    const nvme = new NvmeDriver(process, ADDRESS);
    nvme.write(7, new Uint8Array(BLOCK).fill(0x77));
    nvme.close();
    expect(process.fds).toHaveLength(0);
    expect(new NvmeDriver(process, ADDRESS).read(7, 1)[0]).toBe(0x77);
  });
  // #endregion leaves
});
