export * from './choices.ts';
export * from './commands.ts';
export * from './cpu-interface.ts';
export * from './events.ts';
export * from './gic.ts';
export { GICD } from './distributor.ts';
export { GITS, BASER_TYPE, ITS_BYTES, type Its } from './its.ts';
export { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
export { FRAME_BYTES, GICR, type Redistributor } from './redistributor.ts';
