/**
 * Why the virtual ITS ignored a command. Nothing has changed since: the rule is looked up again, so that the commands themselves need not carry
 * what decided.
 */
import { FIRST_LPI, OPCODE } from '../hardware/index.ts';
import {
  COLLECTION_RANGE,
  COLLECTION_UNMAPPED,
  COMMAND_UNKNOWN,
  DEVICE_RANGE,
  DEVICE_UNMAPPED,
  EVENT_RANGE,
  ITT_SIZE,
  LPI_RANGE,
  LPI_TAKEN,
  LPI_UNREADABLE,
  VCPU_TARGET,
} from './its-reasons.ts';
import type { CommandVm, ItsCommand } from './vgic-its-commands.ts';
import type { ItsMappings } from './vgic-its-mappings.ts';
import { BASER_COLLECTION, BASER_DEVICE, type ItsRegisters } from './vgic-its-registers.ts';

/** An ITS as the rules of its commands know it. */
interface CommandedIts {
  readonly vm: CommandVm & { readonly vcpus: readonly unknown[] };
  readonly index: number;
  readonly registers: ItsRegisters;
  readonly mappings: ItsMappings;
  missing(device: number, event: number): 'device' | 'event' | 'collection' | undefined;
  tellUnresolved(what: string, device: number, event: number): void;
}

/** Tells of a command that was not executed. */
export function tellIgnored(its: CommandedIts, command: ItsCommand): void {
  const { refusals } = its.vm;
  const { opcode, device, event, icid, address } = command;
  switch (opcode) {
    case OPCODE.MAPD: {
      const entry = its.registers.entryProblem(BASER_DEVICE, device);
      if (entry === undefined) refusals.refuse(ITT_SIZE, { device, bits: command.bits });
      else refusals.refuse(DEVICE_RANGE, { what: 'MAPD', device, ...entry });
      return;
    }
    case OPCODE.MAPC:
      if (its.vm.vcpuOfTarget(command.target) === undefined) tellTarget(its, 'MAPC', command.target);
      else tellCollection(its, 'MAPC', icid);
      return;
    case OPCODE.MAPTI:
      tellMapti(its, 'MAPTI', command, command.intid);
      return;
    case OPCODE.MAPI:
      tellMapti(its, 'MAPI', command, event);
      return;
    case OPCODE.MOVI:
      // The event's own collection comes first.
      if (its.missing(device, event) === undefined) refusals.refuse(COLLECTION_UNMAPPED, { what: 'MOVI', icid });
      else its.tellUnresolved('MOVI', device, event);
      return;
    case OPCODE.DISCARD:
      its.tellUnresolved('DISCARD', device, event);
      return;
    case OPCODE.CLEAR:
      its.tellUnresolved('CLEAR', device, event);
      return;
    case OPCODE.INT:
      its.tellUnresolved('INT', device, event);
      return;
    case OPCODE.INV: {
      const lpi = its.mappings.findEvent(device, event)?.irq.intid;
      if (lpi === undefined) its.tellUnresolved('INV', device, event);
      else tellProperty(its, 'INV', device, event, lpi);
      return;
    }
    case OPCODE.INVALL:
      refusals.refuse(COLLECTION_UNMAPPED, { what: 'INVALL', icid });
      return;
    case OPCODE.MOVALL:
      tellTarget(its, 'MOVALL', its.vm.vcpuOfTarget(command.target) === undefined ? command.target : command.other);
      return;
    default:
      refusals.refuse(COMMAND_UNKNOWN, { its: its.index, address, opcode });
  }
}

function tellTarget(its: CommandedIts, what: string, rdbase: number): void {
  its.vm.refusals.refuse(VCPU_TARGET, { what, rdbase, vcpus: its.vm.vcpus.length });
}

function tellCollection(its: CommandedIts, what: string, icid: number): void {
  const entry = its.registers.entryProblem(BASER_COLLECTION, icid);
  if (entry !== undefined) its.vm.refusals.refuse(COLLECTION_RANGE, { what, icid, ...entry });
}

function tellProperty(its: CommandedIts, what: string, device: number, event: number, lpi: number): void {
  const address = its.mappings.propertyAddress(lpi);
  its.vm.refusals.refuse(LPI_UNREADABLE, { what, device, event, lpi, table: 'property', address });
}

function tellMapti(its: CommandedIts, what: string, { device: id, event, icid }: ItsCommand, lpi: number): void {
  const { refusals, vgic, lpis } = its.vm;
  const device = its.mappings.findDevice(id);
  const limit = vgic?.lpiLimit ?? 0;
  if (device === undefined) {
    refusals.refuse(DEVICE_UNMAPPED, { what, device: id });
  } else if (!its.mappings.eventInRange(device, event)) {
    refusals.refuse(EVENT_RANGE, { what, device: id, event, bits: device.bits, address: device.itt + event * 8 });
  } else if (lpi < FIRST_LPI || lpi >= limit) {
    refusals.refuse(LPI_RANGE, { what, device: id, event, lpi, limit });
  } else if (its.mappings.findCollection(icid) === undefined && its.registers.entryProblem(BASER_COLLECTION, icid) !== undefined) {
    tellCollection(its, what, icid);
  } else if (lpis.find(lpi) !== undefined) {
    refusals.refuse(LPI_TAKEN, { what, device: id, event, lpi });
  } else if (!its.vm.memory.accessible(its.mappings.propertyAddress(lpi), 1)) {
    tellProperty(its, what, id, event, lpi);
  } else {
    const target = its.mappings.vcpuOf(its.mappings.findCollection(icid));
    const table = target === undefined ? 0 : (vgic?.pendingTable(target) ?? 0);
    refusals.refuse(LPI_UNREADABLE, { what, device: id, event, lpi, table: 'pending bit', address: table + (lpi >>> 3) });
  }
}
