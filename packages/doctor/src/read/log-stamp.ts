/** What stands before a message of the kernel: time stamps, host names, priorities. */

const PRIORITY = /^(?:<\d{1,3}>|(?:kern|user|daemon|syslog) *:(?:emerg|alert|crit|err|warn|notice|info|debug) *: *)/;
/** `[    0.427880]`, `[ +0.000010]`, `[    0.42 <    0.00>]`, `[Tue Mar 24 06:42:54 2026]` in any language, `[    T1]`. */
const BRACKETS = /^\[ *(?:[+]?\d{1,9}[.,]\d{1,9}(?: <[^>\]]{0,20}>)?|[^\]\d]{1,12}\d{1,2}[^\]\d]{0,12} ?\d\d:\d\d:\d\d[^\]]{0,12}|\d{4}-\d\d-\d\d[T ][^\]]{8,32}|[TC]\d{1,7})\] ?/;
const FILE = /^\/?(?:[\w.-]{1,40}\/){0,8}[\w.-]{0,40}(?:log|syslog|messages|txt)(?:\.\d)?[:-](?:\d{1,7}[:-])?(?=[A-Z\d[])/;
const SYSLOG = /^(?:\p{L}{2,5}\.? {1,2}\d{1,2}|\d{1,2}\.? \p{L}{2,5}\.?|\d{4}-\d\d-\d\d)[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)? +/u;
const KERNEL = /^(?:[\w.-]{1,63} )?kernel(?:\[\d{1,7}\])?: ?/;
const OTHER_PROGRAM = /^(?:[\w.-]{1,63} )?[\w.@/-]{1,40}(?:\[\d{1,8}\])?: /;
const MOST_STAMPS = 5;

/** A line of a log. */
export interface Message {
  /** What the kernel said, without what stands before. */
  readonly text: string;
  /** Another program of a system's journal said it. */
  readonly foreign: boolean;
}

/** The message of a line that has a time stamp, or the kernel's name, before it; undefined: it has none. */
export function kernelMessage(line: string): Message | undefined {
  let text = line;
  let stamped = false;
  let syslog = false;
  let kernel = false;
  const file = FILE.exec(text);
  if (file !== null) text = text.slice(file[0].length);
  for (let i = 0; i < MOST_STAMPS; i++) {
    const match = PRIORITY.exec(text) ?? BRACKETS.exec(text) ?? (syslog ? null : SYSLOG.exec(text)) ?? (kernel ? null : KERNEL.exec(text));
    if (match === null) break;
    if (/kernel(?:\[\d+\])?: ?$/.test(match[0])) kernel = true;
    else if (/\d\d:\d\d:\d\d/.test(match[0]) && !match[0].startsWith('[')) syslog = true;
    stamped = true;
    text = text.slice(match[0].length).trimStart();
  }
  if (!stamped) return undefined;
  return { text, foreign: syslog && !kernel && OTHER_PROGRAM.test(text) && !/^(?:[\w-]+ )?(?:pci|vfio|iommu|DMAR|AMD-Vi)/.test(text) };
}
