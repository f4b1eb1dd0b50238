/** A server: what a client asks, answered by a device. */
import { EINVAL, FrameMap, type FrameRange, get, VFIO_DEVICE_RESET } from '@vsim/vfio-core';
import { DEFAULT_CAPABILITIES, DEFAULT_MIGRATION, type Capabilities } from '../negotiation/capabilities.ts';
import { type Agreement, answerVersion } from '../negotiation/negotiate.ts';
import type { Channel, Received } from '../wire/channel.ts';
import { commandName, COMMANDS } from '../wire/commands.ts';
import { decodeCommand } from '../wire/decode.ts';
import { closeAll, type Descriptor } from '../wire/descriptor.ts';
import { encodeError, encodeReply } from '../wire/encode.ts';
import { FLAG_NO_REPLY } from '../wire/header.ts';
import { HEADER_LAYOUT } from '../wire/layouts.ts';
import { commandLimit } from '../wire/limits.ts';
import { type Command, type Refused, refused, type VersionMessage } from '../wire/messages.ts';
import { RegionAccesses } from './accesses.ts';
import { type Answer, deviceRefused, DONE } from './answer.ts';
import { Conversation } from './conversation.ts';
import { answerDeviceInfo, answerIrqInfo } from './device-info.ts';
import { answerDmaMap, answerDmaUnmap } from './dma.ts';
import { answerFeature } from './features.ts';
import { answerSetIrqs } from './irqs.ts';
import { answerRegionInfo, answerRegionIoFds } from './region-info.ts';
import type { ServedDevice } from './served-device.ts';
import { answerReadState, answerWriteState } from './state.ts';

/** What a server can, and who is told of what it refuses. */
export interface ServerOptions extends Partial<Capabilities> {
  /** Called for each command that is refused, before the client learns of it. */
  readonly refused?: (command: number, refusal: Refused) => void;
}

/** What a server can that says nothing else: 16 descriptors in a message, many writes at once, no migration. */
export const SERVER_CAPABILITIES: Capabilities = { ...DEFAULT_CAPABILITIES, maxMsgFds: 16, writeMultiple: true };

/**
 * One client's connection to a device: what comes first is VERSION, and the end is the client's, or that of a message that is none.
 *
 * What it leaves out: twin sockets are not offered, so that its own commands go over the one channel; regions have no ioeventfds.
 */
export class ServerSession {
  readonly #channel: Channel;
  readonly #device: ServedDevice;
  readonly #own: Capabilities;
  readonly #told: ServerOptions['refused'];
  readonly #conversation: Conversation;
  readonly #accesses: RegionAccesses;
  readonly #ranges = new FrameMap<FrameRange>();
  #agreement: Agreement | undefined;
  #ended = false;
  #handles = false;

  constructor(channel: Channel, device: ServedDevice, options: ServerOptions = {}) {
    const { refused: told, ...capabilities } = options;
    this.#channel = channel;
    this.#device = device;
    this.#own = { ...SERVER_CAPABILITIES, ...capabilities };
    this.#told = told;
    this.#conversation = new Conversation(channel, commandLimit(this.#own.maxDataXferSize));
    this.#accesses = new RegionAccesses(device, this.#own.maxDataXferSize);
  }

  /** What was agreed on with the client; undefined before its VERSION. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** Why the connection is over, in words; undefined as long as it is not. */
  get over(): string | undefined {
    return this.#conversation.over;
  }

  /** How many commands wait that have come while another one was done. */
  get queued(): number {
    return this.#conversation.queued;
  }

  /** Answers until the client is gone, or has sent what is no message. */
  serve(): void {
    while (this.step());
  }

  /** Waits for a message, and answers it. @returns false once the connection is over */
  step(): boolean {
    const received = this.#conversation.next();
    if (received !== undefined) return this.handle(received);
    this.end();
    return false;
  }

  /** Answers a message, whose descriptors it takes. @returns false once the connection is over */
  handle(received: Received): boolean {
    this.#handles = true;
    try {
      if (!this.#ended && this.#conversation.isCommand(received)) this.#answerTo(received);
      else closeAll(received.descriptors);
    } finally {
      this.#handles = false;
      if (this.#conversation.over !== undefined) this.end();
    }
    return !this.#ended;
  }

  /** Ends the connection: the device is told once, the channel is closed. In the middle of a command it waits until that is done. */
  end(): void {
    if (this.#ended) return;
    this.#conversation.end('the server ended it');
    // The command's bytes are the channel's.
    if (this.#handles) return;
    this.#ended = true;
    this.#device.disconnect();
    this.#channel.close();
  }

  #answerTo({ bytes, descriptors }: Received): void {
    const number = get(bytes, HEADER_LAYOUT.command);
    const wanted = (get(bytes, HEADER_LAYOUT.flags) & FLAG_NO_REPLY) === 0;
    if ((number === COMMANDS.REGION_READ || number === COMMANDS.REGION_WRITE) && descriptors.length === 0 && this.#agreement !== undefined) {
      const reply = this.#accesses.answer(bytes);
      if ('errno' in reply) this.#refuse(bytes, number, reply);
      else if (wanted) this.#conversation.send(reply);
      return;
    }
    const command = decodeCommand({ command: number }, bytes);
    const answer = 'errno' in command ? command : this.#answer(command, descriptors);
    if ('errno' in command) closeAll(descriptors);
    if ('errno' in answer) {
      this.#refuse(bytes, number, answer);
      return;
    }
    const name = commandName(number);
    if (wanted && name !== undefined) this.#conversation.send(encodeReply(get(bytes, HEADER_LAYOUT.id), name, answer.reply), answer.descriptors);
    closeAll(answer.descriptors ?? []);
  }

  #refuse(bytes: Uint8Array, command: number, refusal: Refused): void {
    this.#told?.(command, refusal);
    if ((get(bytes, HEADER_LAYOUT.flags) & FLAG_NO_REPLY) === 0) this.#conversation.send(encodeError(get(bytes, HEADER_LAYOUT.id), command, refusal.errno));
    // Without an agreement there is nothing that either side may send.
    if (this.#agreement === undefined) this.#conversation.end(refusal.reason);
  }

  /** Does a command; descriptors are kept or closed. */
  #answer(command: Command, descriptors: readonly Descriptor[]): Answer {
    const agreement = this.#agreement;
    const most = this.#own.maxMsgFds;
    if (agreement !== undefined && descriptors.length <= most) {
      if (command.name === 'DMA_MAP') {
        return answerDmaMap({ device: this.#device, agreement, link: this.#conversation, ranges: this.#ranges }, command, descriptors);
      }
      if (command.name === 'DEVICE_SET_IRQS') return answerSetIrqs(this.#device, command, descriptors);
    }
    closeAll(descriptors);
    if (descriptors.length > 0) return refused(EINVAL, `${command.name} with ${descriptors.length} descriptors`);
    if (agreement !== undefined) return this.#agreed(command, agreement);
    return command.name === 'VERSION' ? this.#version(command) : refused(EINVAL, `${command.name} before VERSION`);
  }

  #version(command: VersionMessage): Answer {
    const answer = answerVersion(command, this.#own);
    if ('errno' in answer) return answer;
    this.#agreement = answer.agreement;
    return { reply: answer.reply };
  }

  /** Does a command that has no descriptors. */
  #agreed(command: Command, agreement: Agreement): Answer {
    const device = this.#device;
    switch (command.name) {
      case 'DMA_UNMAP':
        return answerDmaUnmap({ device, agreement, link: this.#conversation, ranges: this.#ranges }, command);
      case 'DEVICE_GET_INFO':
        return answerDeviceInfo(device);
      case 'DEVICE_GET_REGION_INFO':
        return answerRegionInfo(device, command, agreement.peer.maxMsgFds);
      case 'DEVICE_GET_REGION_IO_FDS':
        return answerRegionIoFds(device, command);
      case 'DEVICE_GET_IRQ_INFO':
        return answerIrqInfo(device, command.index);
      case 'REGION_WRITE_MULTI':
        return agreement.own.writeMultiple ? this.#accesses.answerMulti(command) : refused(EINVAL, 'REGION_WRITE_MULTI was not agreed on');
      case 'DEVICE_RESET': {
        const code = device.ioctl(VFIO_DEVICE_RESET, new Uint8Array(0));
        return code < 0 ? deviceRefused(code, 'DEVICE_RESET') : DONE;
      }
      case 'DEVICE_FEATURE':
        return answerFeature(device, command, (agreement.own.migration ?? DEFAULT_MIGRATION).maxBitmapSize);
      case 'MIG_DATA_READ':
        return answerReadState(device, command, agreement.own.maxDataXferSize);
      case 'MIG_DATA_WRITE':
        return answerWriteState(device, command, agreement.own.maxDataXferSize);
      case 'VERSION':
        return refused(EINVAL, 'the version is agreed on already');
      case 'DMA_READ':
      case 'DMA_WRITE':
        return refused(EINVAL, `${command.name} is a command of servers`);
      // These are done before, where they have the descriptors that they may have.
      case 'REGION_READ':
      case 'REGION_WRITE':
      case 'DMA_MAP':
      case 'DEVICE_SET_IRQS':
        return refused(EINVAL, `${command.name} with too many descriptors`);
    }
  }
}
