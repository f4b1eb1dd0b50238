/** What two sides agree on: the version, and what each may send. */
import { EINVAL } from '@vsim/vfio-core';
import { refused, type Refused, type VersionMessage } from '../wire/messages.ts';
import { capabilitiesText, parseCapabilities, type Capabilities } from './capabilities.ts';

/** The version that is spoken here: 0.0, the first and so far only one. */
export const VERSION_SPOKEN = { major: 0, minor: 0 } as const;

/** What a server and its client have agreed on. */
export interface Agreement {
  /** What the other side says of itself. */
  readonly peer: Capabilities;
  /** What this side may take and do: of a server what it has answered. */
  readonly own: Capabilities;
}

/** A server's answer to VERSION. */
export interface Negotiated {
  /** What is agreed on from now on. */
  readonly agreement: Agreement;
  /** The reply. */
  readonly reply: VersionMessage;
}

/** Answers a client's VERSION: of what the server can, what the client knows, too. @returns EINVAL for another major version, or a text that is wrong */
export function answerVersion(asked: VersionMessage, server: Capabilities): Negotiated | Refused {
  if (asked.major !== VERSION_SPOKEN.major) return refused(EINVAL, `version ${asked.major}.${asked.minor} is not spoken here`);
  const peer = parseCapabilities(asked.text);
  if ('errno' in peer) return peer;
  const own: Capabilities = {
    maxMsgFds: server.maxMsgFds,
    maxDataXferSize: server.maxDataXferSize,
    maxDmaMaps: Math.min(server.maxDmaMaps, peer.maxDmaMaps),
    pageSizes: server.pageSizes,
    // A capability that the client did not name is none that the server may answer. Twin sockets are never answered, which refuses them.
    migration: peer.migration === undefined ? undefined : server.migration,
    writeMultiple: server.writeMultiple && peer.writeMultiple,
  };
  return { agreement: { peer, own }, reply: { name: 'VERSION', ...VERSION_SPOKEN, text: capabilitiesText(own) } };
}

/** Takes a server's answer to what the client proposed. @returns EINVAL for another version, a wrong text, or what was not proposed */
export function takeVersion(answer: VersionMessage, client: Capabilities): Agreement | Refused {
  if (answer.major !== VERSION_SPOKEN.major || answer.minor > VERSION_SPOKEN.minor) return refused(EINVAL, `the server speaks ${answer.major}.${answer.minor}`);
  const peer = parseCapabilities(answer.text);
  if ('errno' in peer) return peer;
  return { peer: { ...peer, writeMultiple: peer.writeMultiple && client.writeMultiple }, own: client };
}
