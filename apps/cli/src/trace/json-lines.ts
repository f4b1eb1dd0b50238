/** A trace as JSON Lines: an object for each event. */
import type { Host, TraceEvent } from '@vsim/vfio-core';
import { plainFields } from './plain.ts';
import type { HostGroup, Sink, TraceFormat } from './trace-format.ts';

export class JsonLines implements TraceFormat {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  host({ prefix }: HostGroup, name: string, { scheduler }: Host, from: number): (event: TraceEvent) => void {
    const host = `${prefix}${name}`;
    return ({ at, severity, id, text, fields }) => {
      this.#line({ host, at: from + at, severity, id, text, thread: scheduler.current?.name, fields: plainFields(fields) });
    };
  }

  phase({ prefix }: HostGroup, name: string | undefined, at: number): void {
    this.#line({ host: `${prefix}migration`, at, severity: 'info', id: 'vmm/phase', text: name ?? 'over', fields: { phase: name ?? null } });
  }

  endGroup(): void {
    // Lines stand alone.
  }

  #line(object: object): void {
    this.#sink.write(`${JSON.stringify(object)}\n`);
  }
}
