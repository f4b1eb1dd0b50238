/** A client for tests that sends whatever it is told to, and looks at what comes back byte by byte. */
import { COMMANDS } from '../src/wire/commands.ts';
import { decodeReply } from '../src/wire/decode.ts';
import type { Descriptor } from '../src/wire/descriptor.ts';
import { encodeCommand } from '../src/wire/encode.ts';
import { decodeHeader, FLAG_ERROR } from '../src/wire/header.ts';
import { JoinedChannel } from '../src/wire/joined.ts';
import type { Command, Reply } from '../src/wire/messages.ts';
import type { Received } from '../src/wire/channel.ts';
import { ServerSession, type ServerOptions } from '../src/server/server-session.ts';
import { FakeDevice } from './fake-device.ts';

/** A server over a fake device, and its client. */
export class RawClient {
  readonly device: FakeDevice;
  readonly session: ServerSession;
  readonly channel: JoinedChannel;
  /** The server's side. */
  readonly serverChannel: JoinedChannel;
  #id = 0;

  constructor(options: ServerOptions = {}, device: FakeDevice = new FakeDevice()) {
    const [client, server] = JoinedChannel.pair();
    this.device = device;
    this.channel = client;
    this.serverChannel = server;
    this.session = new ServerSession(server, device, options);
    server.attend(this.session);
  }

  /** Agrees on the version. */
  negotiate(text = '{"capabilities":{"max_msg_fds":16,"write_multiple":true,"migration":{}}}'): this {
    this.answer({ name: 'VERSION', major: 0, minor: 0, text });
    return this;
  }

  /** Sends a command, and takes what the server says next. Descriptors are closed here, as the server has its own. */
  send(command: Command, descriptors: readonly Descriptor[] = [], flags = 0): Received | undefined {
    this.#id += 1;
    return this.raw(encodeCommand(this.#id, command, flags), descriptors);
  }

  /** Sends bytes. */
  raw(bytes: Uint8Array, descriptors: readonly Descriptor[] = []): Received | undefined {
    this.channel.send(bytes, descriptors);
    for (const descriptor of descriptors) descriptor.close();
    return this.channel.receive();
  }

  /** The reply to a command; a number: its errno. */
  answer(command: Command, descriptors: readonly Descriptor[] = []): Reply | number {
    const received = this.send(command, descriptors);
    if (received === undefined) throw new Error(`no answer to ${command.name}: ${this.session.over}`);
    for (const descriptor of received.descriptors) descriptor.close();
    const header = decodeHeader(received.bytes)!;
    if (header.id !== this.#id || header.command !== COMMANDS[command.name]) throw new Error(`the reply to ${header.id}`);
    if ((header.flags & FLAG_ERROR) !== 0) {
      if (received.bytes.length !== 16) throw new Error('an error with a payload');
      return header.error;
    }
    const reply = decodeReply(command.name, received.bytes);
    if ('errno' in reply) throw new Error(reply.reason);
    return reply;
  }
}
