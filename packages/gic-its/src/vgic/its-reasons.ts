/**
 * Why the virtual ITS ignores a command of the guest, which sees nothing of it, or refuses to save or restore its tables. What the guest's
 * command is refused for has no errno.
 */
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, hex, reason, type Reason } from '@vsim/vfio-core';

/**
 * No effect of KVM_SIGNAL_MSI, KVM_IRQFD; guest's INT, CLEAR, INV, MOVI, DISCARD. The rule: the device, its event, and the event's
 * collection are mapped.
 */
export const EVENT_UNMAPPED: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly missing: string }> = reason({
  id: 'kvm-its/unmapped',
  errno: [],
  call: 'KVM_SIGNAL_MSI, KVM_IRQFD; guest\'s INT, CLEAR, INV, MOVI, DISCARD',
  rule: 'the device, its event, and the event\'s collection are mapped',
  kernel: 'find_ite(), vgic_its_resolve_lpi()',
  wayOut: 'have the guest\'s driver send MAPD, MAPC and MAPTI before',
  text: ({ what, device, event, missing }) => `${what} of device ${hex(device)}, event ${event}: no ${missing}`,
});

/** -EBUSY of KVM_SIGNAL_MSI, KVM_IRQFD. The rule: GITS_CTLR.Enabled is set. */
export const ITS_OFF: Reason<{ readonly its: number; readonly device: number; readonly event: number }> = reason({
  id: 'kvm-its/off',
  errno: EBUSY,
  call: 'KVM_SIGNAL_MSI, KVM_IRQFD',
  rule: 'GITS_CTLR.Enabled is set',
  kernel: 'vgic_its_resolve_lpi()',
  wayOut: 'have the guest enable its ITS',
  text: ({ its, device, event }) => `its ${its} is off: device ${hex(device)}, event ${event}`,
});

/** -EBUSY of KVM_SIGNAL_MSI, KVM_IRQFD; guest's INT. The rule: GICR_CTLR.EnableLPIs of the target is set. */
export const LPIS_OFF: Reason<{ readonly device: number; readonly event: number; readonly lpi: number; readonly vcpu: number }> = reason({
  id: 'kvm-its/lpis-off',
  errno: EBUSY,
  call: 'KVM_SIGNAL_MSI, KVM_IRQFD; guest\'s INT',
  rule: 'GICR_CTLR.EnableLPIs of the target is set',
  kernel: 'vgic_its_resolve_lpi()',
  wayOut: 'have the guest enable the LPIs of each vCPU',
  text: ({ device, event, lpi, vcpu }) => `vcpu ${vcpu} takes no lpis: lpi ${lpi} of device ${hex(device)}, event ${event}`,
});

/** No effect of a command of the guest. The rule: the command queue is in the guest's memory. */
export const COMMAND_UNREADABLE: Reason<{ readonly its: number; readonly address: number }> = reason({
  id: 'kvm-its/command-unreadable',
  errno: [],
  call: 'a command of the guest',
  rule: 'the command queue is in the guest\'s memory',
  kernel: 'vgic_its_process_commands()',
  wayOut: 'point GITS_CBASER to memory',
  text: ({ its, address }) => `its ${its}: command at ${hex(address)} cannot be read`,
});

/** No effect of a command of the guest. The rule: the command is a physical one of GICv3. */
export const COMMAND_UNKNOWN: Reason<{ readonly its: number; readonly address: number; readonly opcode: number }> = reason({
  id: 'kvm-its/command-unknown',
  errno: [],
  call: 'a command of the guest',
  rule: 'the command is a physical one of GICv3',
  kernel: 'vgic_its_handle_command()',
  wayOut: 'KVM\'s ITS has no VLPIs: look at GITS_TYPER',
  text: ({ its, address, opcode }) => `its ${its}: command at ${hex(address)} has opcode ${hex(opcode)}`,
});

/**
 * -EINVAL of guest's MAPD; SAVE_TABLES, RESTORE_TABLES. The rule: a DeviceID has an entry in the device table, in the guest's
 * memory.
 */
export const DEVICE_RANGE: Reason<{ readonly what: string; readonly device: number; readonly table: number; readonly is: string }> = reason({
  id: 'kvm-its/device-range',
  errno: EINVAL,
  call: 'guest\'s MAPD; SAVE_TABLES, RESTORE_TABLES',
  rule: 'a DeviceID has an entry in the device table, in the guest\'s memory',
  kernel: 'vgic_its_check_id()',
  wayOut: 'make the table larger (GITS_BASER0), or its first level point to memory',
  text: ({ what, device, table, is }) => `${what} of device ${hex(device)}: ${is} (device table at ${hex(table)})`,
});

/** No effect of guest's MAPC, MAPTI, MAPI. The rule: an ICID has room in the collection table, in the guest's memory. */
export const COLLECTION_RANGE: Reason<{ readonly what: string; readonly icid: number; readonly table: number; readonly is: string }> = reason({
  id: 'kvm-its/collection-range',
  errno: [],
  call: 'guest\'s MAPC, MAPTI, MAPI',
  rule: 'an ICID has room in the collection table, in the guest\'s memory',
  kernel: 'vgic_its_check_id()',
  wayOut: 'make the table larger (GITS_BASER1)',
  text: ({ what, icid, table, is }) => `${what} to collection ${icid}: ${is} (collection table at ${hex(table)})`,
});

/** No effect of guest's MAPD. The rule: a device has at most the EventID bits of GITS_TYPER. */
export const ITT_SIZE: Reason<{ readonly device: number; readonly bits: number }> = reason({
  id: 'kvm-its/itt-size',
  errno: [],
  call: 'guest\'s MAPD',
  rule: 'a device has at most the EventID bits of GITS_TYPER',
  kernel: 'vgic_its_cmd_handle_mapd()',
  wayOut: 'use 16 bits at most',
  text: ({ device, bits }) => `MAPD of device ${hex(device)} with ${bits} EventID bits`,
});

/** No effect of guest's MAPC, MOVALL. The rule: RDbase is the number of a vCPU. */
export const VCPU_TARGET: Reason<{ readonly what: string; readonly rdbase: number; readonly vcpus: number }> = reason({
  id: 'kvm-its/vcpu',
  errno: [],
  call: 'guest\'s MAPC, MOVALL',
  rule: 'RDbase is the number of a vCPU',
  kernel: 'vgic_its_cmd_handle_mapc(), vgic_its_cmd_handle_movall()',
  wayOut: 'take the processor number of GICR_TYPER',
  text: ({ what, rdbase, vcpus }) => `${what} to vcpu ${rdbase}: there are ${vcpus}`,
});

/** No effect of guest's INVALL, MOVI. The rule: the collection is mapped to a vCPU. */
export const COLLECTION_UNMAPPED: Reason<{ readonly what: string; readonly icid: number }> = reason({
  id: 'kvm-its/collection',
  errno: [],
  call: 'guest\'s INVALL, MOVI',
  rule: 'the collection is mapped to a vCPU',
  kernel: 'vgic_its_cmd_handle_invall(), vgic_its_cmd_handle_movi()',
  wayOut: 'send MAPC before',
  text: ({ what, icid }) => `${what}: collection ${icid} is not mapped`,
});

/** No effect of guest's MAPTI, MAPI. The rule: the device is mapped. */
export const DEVICE_UNMAPPED: Reason<{ readonly what: string; readonly device: number }> = reason({
  id: 'kvm-its/device',
  errno: [],
  call: 'guest\'s MAPTI, MAPI',
  rule: 'the device is mapped',
  kernel: 'vgic_its_cmd_handle_mapi()',
  wayOut: 'send MAPD before',
  text: ({ what, device }) => `${what}: device ${hex(device)} is not mapped`,
});

/** No effect of guest's MAPTI, MAPI. The rule: the event lies in the ITT that MAPD gave, in the guest's memory. */
export const EVENT_RANGE: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly bits: number; readonly address: number }> = reason({
  id: 'kvm-its/event-range',
  errno: [],
  call: 'guest\'s MAPTI, MAPI',
  rule: 'the event lies in the ITT that MAPD gave, in the guest\'s memory',
  kernel: 'vgic_its_check_event_id()',
  wayOut: 'map the device with more EventID bits, and an ITT in memory',
  text: ({ what, device, event, bits, address }) => `${what} of device ${hex(device)}: event ${event} of ${bits} bits, ite at ${hex(address)}`,
});

/** No effect of guest's MAPTI, MAPI. The rule: an LPI is from 8192 to below the limit of GICR_PROPBASER.IDbits. */
export const LPI_RANGE: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly lpi: number; readonly limit: number }> = reason({
  id: 'kvm-its/lpi-range',
  errno: [],
  call: 'guest\'s MAPTI, MAPI',
  rule: 'an LPI is from 8192 to below the limit of GICR_PROPBASER.IDbits',
  kernel: 'vgic_its_cmd_handle_mapi()',
  wayOut: 'take a larger LPI, or make the property table larger',
  text: ({ what, device, event, lpi, limit }) => `${what} of device ${hex(device)}, event ${event}: ${lpi} is no lpi below ${limit}`,
});

/** No effect of guest's MAPTI, MAPI. The rule: the event is not mapped. */
export const EVENT_TAKEN: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly lpi: number }> = reason({
  id: 'kvm-its/event-taken',
  errno: [],
  call: 'guest\'s MAPTI, MAPI',
  rule: 'the event is not mapped',
  kernel: 'vgic_its_cmd_handle_mapi()',
  wayOut: 'send DISCARD before, or MOVI instead',
  text: ({ what, device, event, lpi }) => `${what}: event ${event} of device ${hex(device)} is mapped to lpi ${lpi}`,
});

/** No effect of guest's MAPTI, MAPI. The rule: an LPI belongs to one event (from 7.3 on). */
export const LPI_TAKEN: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly lpi: number }> = reason({
  id: 'kvm-its/lpi-taken',
  errno: [],
  call: 'guest\'s MAPTI, MAPI',
  rule: 'an LPI belongs to one event (from 7.3 on)',
  kernel: 'vgic_its_map_lpi()',
  wayOut: 'DISCARD the event that has it',
  text: ({ what, device, event, lpi }) => `${what} of device ${hex(device)}, event ${event}: another event has lpi ${lpi}`,
});

/**
 * -EFAULT of RESTORE_TABLES; guest's MAPTI, MAPI, INV. The rule: what the property table and the target's pending table say of the
 * LPI is in the guest's memory.
 */
export const LPI_UNREADABLE: Reason<{ readonly what: string; readonly device: number; readonly event: number; readonly lpi: number; readonly table: string; readonly address: number }> = reason({
  id: 'kvm-its/lpi-unreadable',
  errno: EFAULT,
  call: 'RESTORE_TABLES; guest\'s MAPTI, MAPI, INV',
  rule: 'what the property table and the target\'s pending table say of the LPI is in the guest\'s memory',
  kernel: 'update_lpi_config(), vgic_v3_lpi_sync_pending_status()',
  wayOut: 'restore GICR_PROPBASER and GICR_PENDBASER before the tables',
  text: ({ what, device, event, lpi, table, address }) => `${what} of device ${hex(device)}, event ${event}: ${table} of lpi ${lpi} at ${hex(address)} cannot be accessed`,
});

/** -EFAULT of SAVE_TABLES. The rule: each table is in memory that KVM can write. */
export const ENTRY_UNWRITABLE: Reason<{ readonly entry: string; readonly address: number; readonly device?: number | undefined; readonly event?: number | undefined; readonly icid?: number | undefined }> = reason({
  id: 'kvm-its/entry-unwritable',
  errno: EFAULT,
  call: 'SAVE_TABLES',
  rule: 'each table is in memory that KVM can write',
  kernel: 'vgic_its_save_tables_v0()',
  wayOut: 'add the memory slot, or make it writable',
  text: ({ entry, address, device, event, icid }) => `${entry} ${nameOf(device, event, icid)} at ${hex(address)} cannot be written`,
});

/** -EFAULT of RESTORE_TABLES. The rule: each table is in memory that KVM can read. */
export const ENTRY_UNREADABLE: Reason<{ readonly entry: string; readonly address: number; readonly device?: number | undefined }> = reason({
  id: 'kvm-its/entry-unreadable',
  errno: EFAULT,
  call: 'RESTORE_TABLES',
  rule: 'each table is in memory that KVM can read',
  kernel: 'scan_its_table()',
  wayOut: 'restore the guest\'s memory before its ITS',
  text: ({ entry, address, device }) => `${entry} ${nameOf(device, undefined, undefined)} at ${hex(address)} cannot be read`,
});

/** -EACCES of SAVE_TABLES. The rule: no LPI is forwarded, unless the host's GICv4.1 lets its state be read. */
export const SAVE_FORWARDED: Reason<{ readonly device: number; readonly event: number; readonly lpi: number }> = reason({
  id: 'kvm-its/forwarded',
  errno: EACCES,
  call: 'SAVE_TABLES',
  rule: 'no LPI is forwarded, unless the host\'s GICv4.1 lets its state be read',
  kernel: 'vgic_its_save_itt()',
  wayOut: 'take the irqfds away first',
  text: ({ device, event, lpi }) => `lpi ${lpi} of device ${hex(device)}, event ${event} is forwarded`,
});

/** -EINVAL of RESTORE_TABLES. The rule: a DTE has at most 16 EventID bits. */
export const BAD_DTE: Reason<{ readonly field: string; readonly value: number; readonly address: number; readonly device: number }> = reason({
  id: 'kvm-its/dte',
  errno: EINVAL,
  call: 'RESTORE_TABLES',
  rule: 'a DTE has at most 16 EventID bits',
  kernel: 'vgic_its_restore_dte()',
  wayOut: 'look at what saved the table',
  text: ({ field, value, address, device }) => `dte of device ${hex(device)} at ${hex(address)}: ${field} ${value}`,
});

/**
 * -EINVAL or -EEXIST of RESTORE_TABLES. The rule: a CTE names a vCPU of the VM, or none, and an ICID within the table that no other
 * collection has; the ITS has no collections yet.
 */
export const BAD_CTE: Reason<{ readonly field: string; readonly value: number; readonly address: number; readonly icid: number }> = reason({
  id: 'kvm-its/cte',
  errno: [EINVAL, EEXIST],
  call: 'RESTORE_TABLES',
  rule: 'a CTE names a vCPU of the VM, or none, and an ICID within the table that no other collection has; the ITS has no collections yet',
  kernel: 'vgic_its_restore_cte()',
  wayOut: 'create as many vCPUs as there were; reset the ITS before',
  text: ({ field, value, address, icid }) => `cte of collection ${icid} at ${hex(address)}: ${field} ${value}`,
});

/**
 * -EINVAL of RESTORE_TABLES. The rule: an ITE has an LPI from 8192 on, a collection that was restored, its event and the next one
 * within the ITT.
 */
export const BAD_ITE: Reason<{ readonly field: string; readonly value: number; readonly address: number; readonly device: number; readonly event: number }> = reason({
  id: 'kvm-its/ite',
  errno: EINVAL,
  call: 'RESTORE_TABLES',
  rule: 'an ITE has an LPI from 8192 on, a collection that was restored, its event and the next one within the ITT',
  kernel: 'vgic_its_restore_ite()',
  wayOut: 'look at what saved the table, and whether the collection table came with it',
  text: ({ field, value, address, device, event }) => `ite of device ${hex(device)}, event ${event} at ${hex(address)}: ${field} ${value}`,
});

function nameOf(device: number | undefined, event: number | undefined, icid: number | undefined): string {
  if (icid !== undefined) return `of collection ${icid}`;
  if (device === undefined) return 'at the end';
  return event === undefined ? `of device ${hex(device)}` : `of device ${hex(device)}, event ${event}`;
}
