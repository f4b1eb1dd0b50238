/** Get Features and Set Features. Reference: NVM Express Base 1.4, 5.14 and 5.21. */
import type { NvmeCore } from './core.ts';
import { NVME_ALL_NAMESPACES, NVME_FEATURE, NVME_SELECT } from './opcodes.ts';
import { NVME_STATUS } from './status.ts';

/** Set Features, dword 10, bit 31: save. */
const SAVE = 0x8000_0000;
/** Error Recovery, dword 11, bit 16: errors for deallocated blocks, which no namespace has. */
const DULBE = 0x1_0000;

/** Get Features. @returns a status */
export function getFeatures(core: NvmeCore): number {
  const { command, features } = core;
  const feature = command.dword(10) & 0xff;
  const select = (command.dword(10) >>> 8) & 7;
  const argument = command.dword(11);
  const refused = refusalOf(core, feature, argument);
  if (refused !== NVME_STATUS.SUCCESS) return refused;
  if (select > NVME_SELECT.CAPABILITIES) return NVME_STATUS.INVALID_FIELD;
  core.result = select === NVME_SELECT.CAPABILITIES ? features.capabilities(feature) : features.get(feature, select, argument);
  return NVME_STATUS.SUCCESS;
}

/** Set Features. @returns a status */
export function setFeatures(core: NvmeCore): number {
  const { command, features, queues, limits } = core;
  const feature = command.dword(10) & 0xff;
  const save = (command.dword(10) & SAVE) !== 0;
  const argument = command.dword(11);
  const refused = refusalOf(core, feature, argument);
  if (refused !== NVME_STATUS.SUCCESS) return refused;
  if (save && !features.isSaveable(feature)) return NVME_STATUS.FEATURE_NOT_SAVEABLE;
  if (!isOfAll(core, feature)) return NVME_STATUS.FEATURE_NOT_NAMESPACE_SPECIFIC;
  if (feature === NVME_FEATURE.POWER_MANAGEMENT && (argument & 0x1f) !== 0) return NVME_STATUS.INVALID_FIELD;
  if (feature === NVME_FEATURE.ERROR_RECOVERY && (argument & DULBE) !== 0) return NVME_STATUS.INVALID_FIELD;
  if (feature !== NVME_FEATURE.NUMBER_OF_QUEUES) {
    features.set(feature, argument, save);
    return NVME_STATUS.SUCCESS;
  }
  if (queues.anyIo) return NVME_STATUS.COMMAND_SEQUENCE_ERROR;
  const [submissions, completions] = [argument & 0xffff, argument >>> 16];
  if (submissions === 0xffff || completions === 0xffff) return NVME_STATUS.INVALID_FIELD;
  const most = limits.ioQueues - 1;
  core.result = (Math.min(completions, most) << 16) | Math.min(submissions, most);
  features.set(feature, core.result, false);
  return NVME_STATUS.SUCCESS;
}

/** What both have to look at: the feature, and what dword 11 is about. */
function refusalOf(core: NvmeCore, feature: number, argument: number): number {
  const { features, command } = core;
  if (!features.has(feature)) return NVME_STATUS.INVALID_FIELD;
  const known =
    feature === NVME_FEATURE.INTERRUPT_VECTOR
      ? features.hasVector(argument & 0xffff)
      : // One sensor, the composite temperature, and thresholds over and under.
        feature !== NVME_FEATURE.TEMPERATURE_THRESHOLD || ([0, 0xf].includes((argument >>> 16) & 0xf) && ((argument >>> 20) & 3) < 2);
  if (!known) return NVME_STATUS.INVALID_FIELD;
  if (feature !== NVME_FEATURE.ERROR_RECOVERY || [0, NVME_ALL_NAMESPACES].includes(command.namespace)) return NVME_STATUS.SUCCESS;
  return core.namespace(command.namespace) === undefined ? core.refusalOf(command.namespace) : NVME_STATUS.SUCCESS;
}

/** Error Recovery alone may name a namespace; the value is one for all. */
function isOfAll({ command }: NvmeCore, feature: number): boolean {
  return feature === NVME_FEATURE.ERROR_RECOVERY || [0, NVME_ALL_NAMESPACES].includes(command.namespace);
}
