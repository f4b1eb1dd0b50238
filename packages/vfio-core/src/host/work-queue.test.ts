import { expect, it } from 'vitest';
import { Host } from './host.ts';
import { WORK_WITHOUT_END, type Work } from './work-queue.ts';

it('[R6] work out of work waits for its turn, and is done before the first returns', () => {
  const { work } = new Host();
  const log: string[] = [];
  const second: Work = { work: () => log.push('second') };
  work.run({
    work() {
      work.run(second);
      log.push('first');
    },
  });
  expect(log).toEqual(['first', 'second']);
});

it('[R6] a circle is bounded at each settling, and told', () => {
  const { work, trace, scheduler } = new Host();
  const events = trace.record();
  let turns = 0;
  const circle: Work = {
    work() {
      turns += 1;
      work.run(circle);
    },
  };
  work.run(circle);
  const once = turns;
  scheduler.settle();
  expect([turns, events.map(({ id }) => id)]).toEqual([2 * once, [WORK_WITHOUT_END.id, WORK_WITHOUT_END.id]]);
});
