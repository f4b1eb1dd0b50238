import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { EventTable, type Collection, type Event } from './event-table.ts';
import { VgicIrq } from './vgic-irq.ts';

const COLLECTIONS: readonly Collection[] = [{ icid: 0, target: 0 }, { icid: 1, target: 0 }];

describe('EventTable', () => {
  it('answers as a list does to which events are added at the end', () => {
    const id = fc.oneof(fc.nat(200), fc.constantFrom(0xffff, 0x1_0000, 0xffff_fffe, 0xffff_ffff));
    const step = fc.record({ kind: fc.constantFrom('add', 'add', 'add', 'delete', 'move', 'orphan', 'sort'), id, to: fc.nat(1) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new EventTable();
        let list: Event[] = [];
        for (const { kind, id: event, to } of steps) {
          const collection = COLLECTIONS[to]!;
          const there = list.some((each) => each.id === event);
          if (kind === 'add' && !there) {
            const irq = new VgicIrq(8192 + list.length);
            table.add(event, irq, collection);
            list.push({ id: event, irq, collection });
          } else if (kind === 'delete') {
            table.delete(event);
            list = list.filter((each) => each.id !== event);
          } else if (kind === 'move' && there) {
            table.move(event, collection);
            list = list.map((each) => (each.id === event ? { ...each, collection } : each));
          } else if (kind === 'orphan') {
            table.orphan(collection);
            list = list.map((each) => (each.collection === collection ? { ...each, collection: undefined } : each));
          } else if (kind === 'sort') {
            list.sort((a, b) => a.id - b.id);
            expect([...table.sort()]).toEqual(list.map((each) => each.id));
          }
          expect(table.values()).toEqual(list);
          expect(table.size).toBe(list.length);
          expect(table.get(event)).toEqual(list.find((each) => each.id === event));
        }
      }),
      parameters(5),
    );
  });
});
