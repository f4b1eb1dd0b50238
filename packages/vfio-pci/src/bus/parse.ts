/** Numbers that user space writes to sysfs. */
import { BAD_VALUE, type Host } from '@vsim/vfio-core';

/** kstrtoul(): a whole unsigned number, decimal or with 0x; undefined if it is none. */
export function parseUnsigned(bytes: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(bytes).trim();
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : undefined;
}

/** Refuses what was written to an attribute: -EINVAL. */
export function badValue(host: Host, attribute: string, bytes: Uint8Array, wants: string): number {
  return host.refusals.refuse(BAD_VALUE, { attribute, text: new TextDecoder().decode(bytes), wants });
}

/** kstrtobool(): by the first letters; undefined if they are none. */
export function parseBoolean(bytes: Uint8Array): boolean | undefined {
  const text = new TextDecoder().decode(bytes).trim().toLowerCase();
  if (/^(y|1|on|t)/.test(text)) return true;
  return /^(n|0|of|f)/.test(text) ? false : undefined;
}
