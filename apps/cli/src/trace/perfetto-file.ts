/** Packets of Perfetto's trace format: tracks, and what happens on them. */
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import type { Plain } from './plain.ts';
import { TraceSchema, TrackEvent_Type, type DebugAnnotationSchema, type TracePacketSchema, type TrackDescriptorSchema, type TrackEventSchema } from './trace_pb.ts';
import type { Sink } from './trace-format.ts';

type PacketInit = MessageInitShape<typeof TracePacketSchema>;
type EventInit = MessageInitShape<typeof TrackEventSchema>;
type AnnotationInit = MessageInitShape<typeof DebugAnnotationSchema>;
type TrackInit = Omit<MessageInitShape<typeof TrackDescriptorSchema>, 'uuid' | '$typeName'>;

/** A track, by its uuid. */
export type Track = bigint;

/** The flows of an event, which may still change until the one behind the next is there. */
export interface Flowing {
  flowIds: bigint[];
  terminatingFlowIds: bigint[];
}

/** What an event says of itself. */
export interface Said {
  readonly name: string;
  readonly categories?: readonly string[] | undefined;
  readonly fields?: Readonly<Record<string, Plain>> | undefined;
}

/** Of all packets: they are of one writer. */
const SEQUENCE = 1;
const STATE_CLEARED = 1;
/** Packets that are written at once. */
const AT_ONCE = 512;

export class PerfettoFile {
  readonly #sink: Sink;
  readonly #packets: PacketInit[] = [];
  #begun = false;
  #tracks = 0n;
  #flows = 0n;
  #tasks = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** A number for a process or a thread that no other has. */
  nextTask(): number {
    this.#tasks += 1;
    return this.#tasks;
  }

  nextFlow(): bigint {
    this.#flows += 1n;
    return this.#flows;
  }

  /** Describes a track. */
  track(init: TrackInit): Track {
    this.#tracks += 1n;
    this.#add({ trackDescriptor: { ...init, uuid: this.#tracks } });
    return this.#tracks;
  }

  /** @param at virtual ns */
  begin(track: Track, at: number, said: Said): void {
    this.#event(track, at, TrackEvent_Type.SLICE_BEGIN, said);
  }

  /** The slice that was begun last on the track ends. */
  end(track: Track, at: number): void {
    this.#add({ timestamp: ns(at), trackEvent: { trackUuid: track, type: TrackEvent_Type.SLICE_END } });
  }

  /** @returns where its flows go */
  instant(track: Track, at: number, said: Said): Flowing {
    return this.#event(track, at, TrackEvent_Type.INSTANT, said);
  }

  /** Writes what waits. */
  flush(): void {
    this.#write(this.#packets.length);
  }

  #write(count: number): void {
    if (count > 0) this.#sink.write(toBinary(TraceSchema, create(TraceSchema, { packet: this.#packets.splice(0, count) })));
  }

  #event(track: Track, at: number, type: TrackEvent_Type, { name, categories = [], fields = {} }: Said): Flowing {
    const flowing: Flowing = { flowIds: [], terminatingFlowIds: [] };
    const event: EventInit = {
      ...flowing,
      trackUuid: track,
      type,
      name,
      categories: [...categories],
      debugAnnotations: Object.entries(fields).map(([field, value]) => ({ name: field, ...annotation(value) })),
    };
    this.#add({ timestamp: ns(at), trackEvent: event });
    return flowing;
  }

  #add(packet: PacketInit): void {
    // The last one may still get flows.
    if (this.#packets.length > AT_ONCE) this.#write(AT_ONCE);
    this.#packets.push({ ...packet, trustedPacketSequenceId: SEQUENCE, ...(this.#begun ? {} : { sequenceFlags: STATE_CLEARED }) });
    this.#begun = true;
  }
}

/** Virtual time goes on by less than a nanosecond, too. */
function ns(at: number): bigint {
  return BigInt(Math.round(at));
}

function annotation(value: Plain): AnnotationInit {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { intValue: BigInt(value) } : { doubleValue: value };
  if (value === null) return { stringValue: 'null' };
  if (isList(value)) return { arrayValues: value.map(annotation) };
  return { dictEntries: Object.entries(value).map(([name, field]) => ({ name, ...annotation(field) })) };
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}
