export * from './edu.ts';
export * from './pci-testdev.ts';
export * from './recorded-function.ts';
export * from './virtual-function-config.ts';
export * from './ring-nic.ts';
export * from './ring-nic-driver.ts';
