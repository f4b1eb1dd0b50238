export * from './bus.ts';
export * from './device.ts';
export * from './driver.ts';
export * from './model-reasons.ts';
export * from './module-parameter.ts';
export { createPowerFolder, noRuntimePower, type RuntimePower } from './power-folder.ts';
export { addUevent } from './uevent.ts';
