/** What a worker of the command does: the job that it was started with. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Report, ServeOrder } from './control.ts';
import { serveInWorker } from './worker.ts';

/** Does it. Nothing but this command starts workers of it. */
export async function doJob(): Promise<void> {
  const order = workerData as ServeOrder;
  await serveInWorker(order, (what: Report) => { parentPort?.postMessage(what); });
}
