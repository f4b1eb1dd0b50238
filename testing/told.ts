/** Notes with each test of the packages which reasons were told in it: `npm run coverage` demands that each is. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { Refusals } from '../packages/vfio-core/src/index.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** Ids of reasons. */
    told?: readonly string[];
  }
}

const told = new Set<string>();
const known = Object.getOwnPropertyDescriptor(Refusals.prototype, 'refuse');

beforeAll(() => {
  const refuse: unknown = known?.value;
  if (typeof refuse !== 'function') throw new TypeError('Refusals has no refuse()');
  Object.defineProperty(Refusals.prototype, 'refuse', {
    ...known,
    value(this: Refusals, ...refusal: Parameters<Refusals['refuse']>): unknown {
      told.add(refusal[0].id);
      return Reflect.apply(refuse, this, refusal);
    },
  });
});

beforeEach(() => {
  told.clear();
});

afterEach(({ task }) => {
  if (told.size > 0) task.meta.told = [...told];
});

afterAll(() => {
  if (known !== undefined) Object.defineProperty(Refusals.prototype, 'refuse', known);
});
