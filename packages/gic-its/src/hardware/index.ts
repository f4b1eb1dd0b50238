export * from './choices.ts';
export * from './commands.ts';
export { CpuInterface, type CpuInterfaceSource } from './cpu-interface.ts';
export * from './events.ts';
export * from './gic.ts';
export { GICD } from './distributor.ts';
export { GITS, BASER_TYPE, ITS_BYTES, type Its } from './its.ts';
export { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
export { FRAME_BYTES, GICR, type Redistributor } from './redistributor.ts';
export { LINE } from './lines.ts';
export {
  AS_GUEST,
  AT_EL1,
  AT_EL2,
  registerEncoding,
  registerNamed,
  SYSTEM_REGISTERS,
  type GicSystemRegister,
  type RegisterAccess,
  type RegisterOutcome,
  type SystemRegister,
} from './system-registers.ts';
export { VirtualCpuInterface } from './virtual-cpu-interface.ts';
