/** What a worker of the command does: the job that it was started with. */
import { parentPort, workerData } from 'node:worker_threads';
import { captureInWorker } from '../capture/capture-worker.ts';
import type { CaptureOrder, Report, ServeOrder } from './control.ts';
import { serveInWorker } from './worker.ts';

/** Does it. Nothing but this command starts workers of it. */
export async function doJob(): Promise<void> {
  const order = workerData as CaptureOrder | ServeOrder;
  const report = (what: Report): void => { parentPort?.postMessage(what); };
  if (order.job === 'serve') await serveInWorker(order, report);
  else await captureInWorker(order, report);
}
