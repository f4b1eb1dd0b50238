/** The composition root, for those who start from it. */
export * from './cli.ts';
export * from './devices/ticker.ts';
export * from './devices/vfio-ticker.ts';
export * from './hosts/arm-host.ts';
export * from './io.ts';
