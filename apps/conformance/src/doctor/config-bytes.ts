/** The configuration space that has a function's facts, and nothing else. Reference: PCI Local Bus 3.0; PCI Express Base 5.0, 7.5, 7.7.8 and 9.3.3. */
import type { PciFacts } from '@vsim/vfio-pci';

const EXPRESS_AT = 0x40;
const ACS_AT = 0x100;
const SRIOV_AT = 0x140;

/** 4096 bytes, or 256 of a conventional function. @param buses primary, secondary and subordinate of a bridge @param capable a conventional function has a capability */
export function configBytes(facts: PciFacts, buses: readonly [number, number, number], capable = false): Uint8Array {
  const { expressType, acs, sriov } = facts;
  const bytes = new Uint8Array(expressType === undefined ? 0x100 : 0x1000);
  const view = new DataView(bytes.buffer);
  const put16 = (at: number, value: number): void => { view.setUint16(at, value, true); };
  const put32 = (at: number, value: number): void => { view.setUint32(at, value, true); };
  put16(0x00, facts.vendor);
  put16(0x02, facts.device);
  put32(0x08, facts.class * 0x100);
  bytes[0x0e] = (facts.isBridge ? 1 : 0) | (facts.multifunctionBit ? 0x80 : 0);
  if (facts.isBridge) bytes.set(buses, 0x18);
  else {
    put16(0x2c, facts.subsystemVendor);
    put16(0x2e, facts.subsystem);
  }
  if (expressType === undefined && !capable) return bytes;
  put16(0x06, 0x10);
  bytes[0x34] = EXPRESS_AT;
  bytes[EXPRESS_AT] = 1; // power management
  if (expressType === undefined) return bytes;
  put16(EXPRESS_AT, 0x10);
  put16(EXPRESS_AT + 2, 2 | (expressType << 4));
  const extended = [...(acs === undefined ? [] : [{ at: ACS_AT, id: 0x0d }]), ...(sriov === undefined ? [] : [{ at: SRIOV_AT, id: 0x10 }])];
  // What comes first stands at 100; an SR-IOV capability that has no ACS before it is reached from an empty one there.
  if (extended.length === 1 && extended[0]?.at === SRIOV_AT) extended.unshift({ at: ACS_AT, id: 0x0b });
  extended.forEach(({ at, id }, i) => { put32(at, id + 0x1_0000 + (extended[i + 1]?.at ?? 0) * 0x10_0000); });
  if (acs !== undefined) {
    put32(ACS_AT + 4, acs.wide?.capability ?? acs.capability + acs.control * 0x1_0000);
    if (acs.wide !== undefined) put32(ACS_AT + 8, acs.wide.control);
  }
  if (sriov !== undefined) {
    put16(SRIOV_AT + 0x08, 1);
    for (const at of [0x0c, 0x0e, 0x10]) put16(SRIOV_AT + at, sriov.count);
    put16(SRIOV_AT + 0x14, sriov.offset);
    put16(SRIOV_AT + 0x16, sriov.stride);
    put16(SRIOV_AT + 0x1a, sriov.device);
  }
  return bytes;
}
