/** Captured conversations: their messages, and what they say of the device behind the server. */
import type { Fields } from '../json.ts';
import { HEADER_SIZE, encodeHeader, FLAG_REPLY, FLAG_TYPE_MASK, decodeReply, regionCapabilities, sparseAreas, type CommandName, type MappableArea, type Reply } from '@vsim/vfio-user';

/** The largest message that any of them has, with room. */
const MOST = 0x20_0000;
/** The largest region with memory behind it, in bytes. */
const MOST_MAPPED = 0x100_0000;
/** The longest list of descriptors. */
const MOST_FDS = 64;

/** A line of a capture that is a message. */
export interface CapturedMessage {
  readonly fields: Fields;
  /** From the client to the server. */
  readonly fromClient: boolean;
  readonly id: number;
  readonly command: number;
  readonly name: string;
  readonly flags: number;
  readonly error: number;
  /** Kinds of the descriptors beside it. */
  readonly fds: readonly string[];
  /** Header and payload. */
  readonly bytes: Uint8Array;
}

/** A message of a line; undefined for an event. @throws MalformedRecording */
export function messageOf(fields: Fields): CapturedMessage | undefined {
  const dir = fields.string('dir');
  if (dir === 'event') return undefined;
  if (dir !== 'c2s' && dir !== 's2c') return fields.fail('dir', 'c2s, s2c or event');
  const payload = fields.bytes('payload');
  const size = fields.count('size', MOST);
  if (size !== HEADER_SIZE + payload.length) return fields.fail('size', `${HEADER_SIZE + payload.length}, as the payload is`);
  const [id, command, flags, error] = [fields.count('id', 0xffff), fields.count('cmd', 0xffff), fields.count('flags', 0xffff_ffff), fields.count('error', 0xffff_ffff)];
  const fds = fields.list('fds');
  if (fds.length > MOST_FDS) return fields.fail('fds', `at most ${MOST_FDS} descriptors`);
  const bytes = new Uint8Array(size);
  encodeHeader(bytes, { id, command, size, flags, error });
  bytes.set(payload, HEADER_SIZE);
  return { fields, fromClient: dir === 'c2s', id, command, name: fields.string('name'), flags, error, fds: fds.map(String), bytes };
}

export function isReply({ flags }: Pick<CapturedMessage, 'flags'>): boolean {
  return (flags & FLAG_TYPE_MASK) === FLAG_REPLY;
}

/** A BAR as a server told of it. */
export interface CapturedBar {
  readonly index: number;
  readonly size: number;
  /** What of it may be mapped; undefined: nothing, or it is not said. */
  readonly areas: readonly MappableArea[] | undefined;
}

/** What a server told of its device. */
export interface CapturedDevice {
  /** Configuration space as the client read it first, 256 or 4096 bytes. */
  readonly config: Uint8Array;
  readonly bars: readonly CapturedBar[];
}

const CONFIG_REGION = 7;

/** The device of a capture; undefined: no client ever read its configuration space. */
export function deviceOf(messages: readonly CapturedMessage[]): CapturedDevice | undefined {
  let config: Uint8Array | undefined;
  const bars = new Map<number, CapturedBar>();
  for (const message of messages) {
    if (message.fromClient || !isReply(message) || message.error !== 0) continue;
    if (message.name === 'REGION_READ') {
      const reply = replyOf('REGION_READ', message);
      if (reply?.name === 'REGION_READ' && reply.region === CONFIG_REGION && reply.offset === 0n && reply.data.length >= 256) config ??= reply.data;
    } else if (message.name === 'DEVICE_GET_REGION_INFO') {
      const reply = replyOf('DEVICE_GET_REGION_INFO', message);
      if (reply?.name !== 'DEVICE_GET_REGION_INFO' || reply.index >= 6 || reply.length === 0n) continue;
      const areas = sparseAreas(regionCapabilities(reply) ?? []);
      if (areas !== undefined && reply.length > MOST_MAPPED) return message.fields.fail('payload', `at most ${MOST_MAPPED} bytes that may be mapped`);
      bars.set(reply.index, { index: reply.index, size: Number(reply.length), areas });
    }
  }
  return config === undefined ? undefined : { config, bars: [...bars.values()] };
}

function replyOf(name: CommandName, message: CapturedMessage): Reply | undefined {
  const reply = decodeReply(name, message.bytes);
  return 'errno' in reply ? undefined : reply;
}

