import { expect, it } from 'vitest';
import { Host } from './host.ts';
import { WORK_WITHOUT_END, type Work, type WorkQueue } from './work-queue.ts';

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

/** Work that queues itself again, as a circle of eventfds does, until it has had so many turns. */
function circleIn(work: WorkQueue, most = Infinity): Work & { readonly turns: number } {
  const circle = {
    turns: 0,
    work() {
      circle.turns += 1;
      if (circle.turns < most) work.run(circle);
    },
  };
  return circle;
}

it('[R6] a circle is bounded at each settling, and told', () => {
  const { work, trace, scheduler } = new Host();
  const events = trace.record();
  const circle = circleIn(work);
  work.run(circle);
  const once = circle.turns;
  scheduler.settle();
  expect([circle.turns, events.map(({ id }) => id)]).toEqual([2 * once, [WORK_WITHOUT_END.id, WORK_WITHOUT_END.id]]);
});

it('[R6] work that waits is not queued again; work that runs is', () => {
  const { work } = new Host();
  const log: string[] = [];
  let again = 2;
  const second: Work = {
    work() {
      log.push('second');
      if (again > 0) work.run(second);
      again -= 1;
    },
  };
  work.run({
    work() {
      for (let i = 0; i < 5; i += 1) work.run(second);
    },
  });
  expect(log).toEqual(['second', 'second', 'second']);
});

it('[R6] work behind a circle that was put off waits with it: it does not drain the circle once more', () => {
  const { work, scheduler } = new Host();
  const circle = circleIn(work);
  work.run(circle);
  const once = circle.turns;
  let done = 0;
  for (let i = 0; i < 10; i += 1) work.run({ work: () => (done += 1) });
  expect([done, circle.turns]).toEqual([0, once]);
  scheduler.settle();
  expect(done).toBe(10);
});

it('[R6] what was done before a circle reached its bound is not done again', () => {
  const { work, scheduler } = new Host();
  let firsts = 0;
  const circle = circleIn(work, 5000);
  work.run({
    work() {
      firsts += 1;
      work.run(circle);
    },
  });
  for (let i = 0; i < 3; i += 1) scheduler.settle();
  expect([firsts, circle.turns]).toEqual([1, 5000]);
});
