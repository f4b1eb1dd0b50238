export * from './apic-msi.ts';
export * from './event-fd.ts';
export * from './irq-bypass.ts';
export { InterruptTable, type InterruptRow } from './interrupt-table.ts';
export * from './msi.ts';
export * from './virqfd.ts';
