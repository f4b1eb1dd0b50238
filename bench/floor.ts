/**
 * The floor of the GIC's benchmarks: two dependent typed-array loads and a byte store an event. tooling/test/bench.test.ts holds this file by a hash: bounds in
 * floors say something only as long as the floor stays what it is.
 */
export type Body = (iterations: number) => void;

export const EVENTS_PER_DEVICE = 128;

/** 65,536 events in an order that no prefetcher knows: DeviceID in the high half, EventID in the low one. */
export function orderOf(events: number): Uint32Array {
  const order = new Uint32Array(0x1_0000);
  let state = 1;
  for (let i = 0; i < order.length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const n = Math.floor((state / 2 ** 32) * events);
    order[i] = Math.floor(n / EVENTS_PER_DEVICE) * 0x1_0000 + (n % EVENTS_PER_DEVICE);
  }
  return order;
}

export function loads(order: Uint32Array, events: number): Body {
  const first = new Uint32Array(Math.ceil(events / EVENTS_PER_DEVICE) * EVENTS_PER_DEVICE);
  const second = new Uint32Array(first.length);
  const bytes = new Uint8Array(first.length);
  for (let i = 0; i < first.length; i += 1) first[i] = second[i] = i;
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      const id = order[i & 0xffff]!;
      bytes[second[first[(id >>> 16) * EVENTS_PER_DEVICE + (id & 0xffff)]!]!] = 1;
    }
  };
}
