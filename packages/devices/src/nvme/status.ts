/**
 * Status codes of completions. Reference: NVM Express Base 1.4, 4.6.1, figures 127 to 131.
 *
 * A status here is Status Code Type (bits 10:8) and Status Code (bits 7:0), with Do Not Retry in bit 14: bits 31:17 of a completion's last
 * dword.
 */

/** Mask of type and code in a status. */
export const NVME_STATUS_CODE = 0x7ff;
/** Do Not Retry: the same command would fail again. */
export const NVME_DNR = 0x4000;

/** Types and codes: 0xx are generic, 1xx are specific to a command, 2xx are of the medium. */
export const NVME_STATUS = {
  SUCCESS: 0x000,
  INVALID_OPCODE: 0x001,
  INVALID_FIELD: 0x002,
  DATA_TRANSFER_ERROR: 0x004,
  ABORT_REQUESTED: 0x007,
  SQ_DELETED: 0x008,
  INVALID_NAMESPACE: 0x00b,
  COMMAND_SEQUENCE_ERROR: 0x00c,
  INVALID_SGL_SEGMENT: 0x00d,
  INVALID_SGL_COUNT: 0x00e,
  SGL_LENGTH_INVALID: 0x00f,
  SGL_TYPE_INVALID: 0x011,
  INVALID_PRP_OFFSET: 0x013,
  LBA_OUT_OF_RANGE: 0x080,
  COMPLETION_QUEUE_INVALID: 0x100,
  INVALID_QUEUE_ID: 0x101,
  INVALID_QUEUE_SIZE: 0x102,
  AER_LIMIT_EXCEEDED: 0x105,
  INVALID_INTERRUPT_VECTOR: 0x108,
  INVALID_LOG_PAGE: 0x109,
  INVALID_QUEUE_DELETION: 0x10c,
  FEATURE_NOT_SAVEABLE: 0x10d,
  FEATURE_NOT_NAMESPACE_SPECIFIC: 0x10f,
  WRITE_FAULT: 0x280,
  UNRECOVERED_READ_ERROR: 0x281,
  COMPARE_FAILURE: 0x285,
} as const;

const RETRYABLE: ReadonlySet<number> = new Set<number>([
  NVME_STATUS.SUCCESS,
  NVME_STATUS.DATA_TRANSFER_ERROR,
  NVME_STATUS.ABORT_REQUESTED,
  NVME_STATUS.SQ_DELETED,
  NVME_STATUS.WRITE_FAULT,
  NVME_STATUS.UNRECOVERED_READ_ERROR,
]);

/** What a completion's status field is for a code: with Do Not Retry where it would fail again. @param code one of NVME_STATUS */
export function statusField(code: number): number {
  return RETRYABLE.has(code) ? code : code | NVME_DNR;
}
