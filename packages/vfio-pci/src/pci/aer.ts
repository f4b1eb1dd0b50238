/**
 * Errors that a PCI Express function detects: the bits that tell of them, and whether a message goes to the root port.
 *
 * Reference: PCI Express Base 6.0, 6.2 and 7.8.4. Modelled: status, mask and severity of Advanced Error Reporting, DEVSTA, the enables of
 * DEVCTL and COMMAND. Not modelled: header logs, the first error pointer, advisory non-fatal errors, multiple messages on the way.
 */
import { read16, read32 } from './capabilities.ts';
import type { ConfigSpace } from './config-space.ts';
import {
  PCI_COMMAND,
  PCI_COMMAND_SERR,
  PCI_ERR_COR_MASK,
  PCI_ERR_COR_STATUS,
  PCI_ERR_UNCOR_MASK,
  PCI_ERR_UNCOR_SEVER,
  PCI_ERR_UNCOR_STATUS,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVSTA,
} from './registers.ts';

/** Errors by name, and their bits in Uncorrectable Error Status, Mask and Severity (PCI Express Base 6.0, 7.8.4). */
export const UNCORRECTABLE_ERRORS = {
  'data-link-protocol': 0x10,
  'surprise-down': 0x20,
  'poisoned-tlp': 0x1000,
  'flow-control-protocol': 0x2000,
  'completion-timeout': 0x4000,
  'completer-abort': 0x8000,
  'unexpected-completion': 0x1_0000,
  'receiver-overflow': 0x2_0000,
  'malformed-tlp': 0x4_0000,
  ecrc: 0x8_0000,
  'unsupported-request': 0x10_0000,
  'acs-violation': 0x20_0000,
  'uncorrectable-internal': 0x40_0000,
} as const;

/** Errors by name, and their bits in Correctable Error Status and Mask (PCI Express Base 6.0, 7.8.4). */
export const CORRECTABLE_ERRORS = {
  receiver: 0x1,
  'bad-tlp': 0x40,
  'bad-dllp': 0x80,
  'replay-rollover': 0x100,
  'replay-timeout': 0x1000,
  'advisory-non-fatal': 0x2000,
  'corrected-internal': 0x4000,
} as const;

/** An error that PciFunction.error() can have a function detect. */
export type PciError = keyof typeof UNCORRECTABLE_ERRORS | keyof typeof CORRECTABLE_ERRORS;
/** Which message an error sends: ERR_COR, ERR_NONFATAL or ERR_FATAL. */
export type ErrorSeverity = 'correctable' | 'non-fatal' | 'fatal';

/** The default of the severity register: data link, surprise down, flow control, overflow, malformed, internal. */
export const DEFAULT_SEVERITY = 0x0046_2030;

/** An error as the function tells the root port. */
export interface ErrorMessage {
  /** What the function detected. */
  readonly error: PciError;
  /** As the Uncorrectable Error Severity register has it, or correctable. */
  readonly severity: ErrorSeverity;
}

/** An error as the registers have it, and whether the root port is told. */
export interface LoggedError extends ErrorMessage {
  /** Undefined: a message is sent. */
  readonly kept: 'masked in its mask register' | 'reporting is off in DEVCTL and COMMAND' | undefined;
}

/** Bit of DEVCTL and DEVSTA. */
const DEVICE_BIT: Readonly<Record<ErrorSeverity, number>> = { correctable: 1, 'non-fatal': 2, fatal: 4 };

/**
 * Sets the status bits of an error.
 *
 * @param aer offset of the AER capability, 0 for none
 * @param express offset of the PCI Express capability
 */
export function logError(config: ConfigSpace, aer: number, express: number, error: PciError): LoggedError {
  const { bytes } = config;
  const corrected = isCorrectable(error);
  const bit = corrected ? CORRECTABLE_ERRORS[error] : UNCORRECTABLE_ERRORS[error];
  let masked = false;
  let severities = DEFAULT_SEVERITY;
  if (aer !== 0) {
    const status = aer + (corrected ? PCI_ERR_COR_STATUS : PCI_ERR_UNCOR_STATUS);
    config.set(status, 4, read32(bytes, status) | bit);
    masked = (read32(bytes, aer + (corrected ? PCI_ERR_COR_MASK : PCI_ERR_UNCOR_MASK)) & bit) !== 0;
    severities = read32(bytes, aer + PCI_ERR_UNCOR_SEVER);
  }
  const severity = corrected ? 'correctable' : (severities & bit) !== 0 ? 'fatal' : 'non-fatal';
  const device = express + PCI_EXP_DEVSTA;
  config.set(device, 2, read16(bytes, device) | DEVICE_BIT[severity]);
  if (masked) return { error, severity, kept: 'masked in its mask register' };
  const serr = !corrected && (read16(bytes, PCI_COMMAND) & PCI_COMMAND_SERR) !== 0;
  const reported = serr || (read16(bytes, express + PCI_EXP_DEVCTL) & DEVICE_BIT[severity]) !== 0;
  return { error, severity, kept: reported ? undefined : 'reporting is off in DEVCTL and COMMAND' };
}

function isCorrectable(error: PciError): error is keyof typeof CORRECTABLE_ERRORS {
  return Object.hasOwn(CORRECTABLE_ERRORS, error);
}
