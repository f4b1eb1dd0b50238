import { findCapability, read16 } from '../pci/capabilities.ts';
import {
  PCI_AF_CAP,
  PCI_AF_CAP_TP_FLR,
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_PM,
  PCI_CFG_SPACE_SIZE,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCAP_FLR_HIGH,
  PCI_PM_CTRL,
  PCI_PM_CTRL_NO_SOFT_RESET,
  PCI_REVISION_ID,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
} from '../pci/registers.ts';

/** What a function's capabilities say of resets of it alone; undefined: not known. */
export interface ResetFacts {
  /** Function Level Reset of PCI Express: lspci's `FLReset+` in DevCap, which it tells of endpoints only. */
  readonly flr: boolean | undefined;
  /** That of Advanced Features, for conventional functions: `AFCap: TP+ FLR+`. */
  readonly afFlr: boolean | undefined;
  /** Power management is there, and coming back from D3hot resets: `NoSoftRst-`. */
  readonly softReset: boolean | undefined;
  /** Revision ID, 8 bits. */
  readonly revision: number | undefined;
}

/** What a configuration space tells, of 64 bytes or more: what may be beyond the known bytes is not known. */
export function resetFactsOfConfig(config: Uint8Array): ResetFacts {
  const complete = config.length >= PCI_CFG_SPACE_SIZE || (read16(config, PCI_STATUS) & PCI_STATUS_CAP_LIST) === 0;
  const of = (id: number, bytes: number, test: (at: number) => boolean): boolean | undefined => {
    const at = findCapability(config, id);
    if (at === 0) return complete ? false : undefined;
    return at + bytes <= config.length ? test(at) : undefined;
  };
  return {
    flr: of(PCI_CAP_ID_EXP, PCI_EXP_DEVCAP + 4, (at) => (read16(config, at + PCI_EXP_DEVCAP + 2) & PCI_EXP_DEVCAP_FLR_HIGH) !== 0),
    afFlr: of(PCI_CAP_ID_AF, PCI_AF_CAP + 1, (at) => (config[at + PCI_AF_CAP]! & PCI_AF_CAP_TP_FLR) === PCI_AF_CAP_TP_FLR),
    softReset: of(PCI_CAP_ID_PM, PCI_PM_CTRL + 2, (at) => (read16(config, at + PCI_PM_CTRL) & PCI_PM_CTRL_NO_SOFT_RESET) === 0),
    revision: config[PCI_REVISION_ID],
  };
}

/**
 * What lspci's indented lines tell: with -vv all, with -v which capabilities there are, of which those that are not there cannot reset.
 *
 * @param lines trimmed, or as they are
 * @param revision of the heading, 8 bits; undefined: it has none
 */
export function resetFactsOfText(lines: readonly string[], revision?: number): ResetFacts {
  const named = lines.filter((line) => /^\s*Capabilities: \[/.test(line));
  // Flags of -v, Control of -vv: who prints them prints capabilities, too, or that it may not.
  const asked = named.length > 0 || lines.some((line) => /^\s*(?:Flags|Control): /.test(line));
  const complete = asked && !lines.some((line) => line.includes('<access denied>'));
  const of = (capability: RegExp, bit: RegExp): boolean | undefined => {
    const told = lines.map((line) => bit.exec(line)?.[1]).find((sign) => sign !== undefined);
    if (told !== undefined) return told === '+';
    return complete && !named.some((line) => capability.test(line)) ? false : undefined;
  };
  const keeps = of(/\] Power Management\b/, /\bNoSoftRst([+-])/);
  const isThere = named.some((line) => /\] Power Management\b/.test(line));
  return {
    flr: of(/\] Express\b/, /\bFLReset([+-])/),
    afFlr: of(/\] PCI Advanced Features\b/, /\bAFCap: TP\+ FLR([+-])/) ?? (lines.some((line) => /\bAFCap: TP-/.test(line)) ? false : undefined),
    softReset: keeps === undefined ? undefined : isThere || lines.some((line) => line.includes('NoSoftRst')) ? !keeps : false,
    revision,
  };
}
