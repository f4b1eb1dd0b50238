export * from './apic-msi.ts';
export * from './event-fd.ts';
export * from './irq-bypass.ts';
export * from './msi.ts';
export * from './virqfd.ts';
