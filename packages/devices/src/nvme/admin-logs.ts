/** Get Log Page. Reference: NVM Express Base 1.4, 5.14. */
import type { NvmeCore } from './core.ts';
import { NVME_FEATURE, NVME_LOG } from './opcodes.ts';
import { NVME_STATUS } from './status.ts';

/** Dword 10, bit 15: Retain Asynchronous Event. */
const RETAIN = 0x8000;
/** More changed namespaces than the page has room for. */
const MAX_CHANGED = 1024;

/** Get Log Page: behind the end of a page are zeros. @returns a status */
export function getLogPage(core: NvmeCore): number {
  const { command, limits } = core;
  const log = command.dword(10) & 0xff;
  const words = (command.dword(11) & 0xffff) * 0x1_0000 + (command.dword(10) >>> 16) + 1;
  const [lo, hi] = [command.dword(12), command.dword(13)];
  const page = pageOf(core, log);
  if (page === undefined) return NVME_STATUS.INVALID_LOG_PAGE;
  if (lo % 4 !== 0 || hi !== 0 || lo > page.length || 4 * words > limits.maxTransfer) return NVME_STATUS.INVALID_FIELD;
  const out = new Uint8Array(4 * words);
  out.set(page.subarray(lo, Math.min(page.length, lo + out.length)));
  const status = core.send(out);
  if (status !== NVME_STATUS.SUCCESS || (command.dword(10) & RETAIN) !== 0) return status;
  core.events.logRead(log);
  if (log === NVME_LOG.CHANGED_NAMESPACES) core.changedNamespaces.clear();
  return status;
}

function pageOf(core: NvmeCore, log: number): Uint8Array | undefined {
  switch (log) {
    case NVME_LOG.ERROR:
      return core.errors.page;
    case NVME_LOG.SMART:
      return core.health.page(core.errors.count, core.features.current(NVME_FEATURE.TEMPERATURE_THRESHOLD), core.features.underTemperature);
    case NVME_LOG.FIRMWARE:
      return firmwarePage(core.limits.firmware);
    case NVME_LOG.CHANGED_NAMESPACES:
      return changedPage(core.changedNamespaces);
    default:
      return undefined;
  }
}

/** Figure 199: slot 1 is active. */
function firmwarePage(revision: string): Uint8Array {
  const out = new Uint8Array(512);
  out[0] = 1;
  out.set(new TextEncoder().encode(revision.padEnd(8)), 8);
  return out;
}

/** Figure 200: ids in their order; ones where there are too many. */
function changedPage(changed: ReadonlySet<number>): Uint8Array {
  const out = new Uint8Array(4 * MAX_CHANGED);
  const view = new DataView(out.buffer);
  if (changed.size > MAX_CHANGED) view.setUint32(0, 0xffff_ffff, true);
  else [...changed].sort((a, b) => a - b).forEach((id, n) => view.setUint32(4 * n, id, true));
  return out;
}
