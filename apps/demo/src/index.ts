/** The composition root, for those who start from it. */
export * from './demo/demo.ts';
export * from './demo/report.ts';
export type { Watch } from './demo/world-clock.ts';
export * from './devices/ticker.ts';
export * from './devices/vfio-ticker.ts';
export * from './hosts/arm-host.ts';
export * from './migrate/matrix.ts';
export * from './migrate/scenario.ts';
