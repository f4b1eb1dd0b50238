export { FdtError, FdtNode, parseFdt } from './fdt.ts';
