/** Outputs of the GIC to a PE: bits of the levels that CpuInterface.onLines gets. */
export const LINE = {
  IRQ: 1,
  FIQ: 2,
  VIRTUAL_IRQ: 4,
  VIRTUAL_FIQ: 8,
  /** The maintenance interrupt, which is also a PPI of the same PE. */
  MAINTENANCE: 16,
} as const;
