/**
 * What a reset does, by kind of reset and by state: the table that reset-matrix.test.ts holds and docs/resets.md prints.
 *
 * The values stand here and nowhere else. `by` is the kernel function that makes it so; `seen` the steps of a recording that show it.
 * A state that only some kernels have says from which on.
 */

export const KINDS = [
  'flr',
  'af-flr',
  'pm',
  'device-specific',
  'bus',
  'slot',
  'hot-reset',
  'd3hot',
  'd3cold',
  'guest-flr',
  'guest-af-flr',
  'sysfs',
] as const;
export type ResetKind = (typeof KINDS)[number];

export const KIND_TEXT: Readonly<Record<ResetKind, string>> = {
  flr: 'VFIO_DEVICE_RESET by function level reset: pcie_flr()',
  'af-flr': 'VFIO_DEVICE_RESET by Advanced Features: pci_af_flr()',
  pm: 'VFIO_DEVICE_RESET by D3hot and D0: pci_pm_reset()',
  'device-specific': 'VFIO_DEVICE_RESET by a quirk: pci_dev_specific_reset()',
  bus: 'VFIO_DEVICE_RESET by the bus, alone on it: pci_parent_bus_reset()',
  slot: 'VFIO_DEVICE_RESET by the bus of a hot-plug slot: pci_dev_reset_slot_function()',
  'hot-reset': 'VFIO_DEVICE_PCI_HOT_RESET: pci_reset_bus()',
  d3hot: 'the user writes D3hot and D0 to PMCSR: vfio_lock_and_set_power_state()',
  d3cold: 'LOW_POWER_ENTRY and EXIT, where firmware cuts the power: pci_pm_runtime_suspend()',
  'guest-flr': 'the user writes FLR to Device Control: vfio_exp_config_write()',
  'guest-af-flr': 'the user writes FLR to AF Control: vfio_af_config_write()',
  sysfs: 'root writes sysfs `reset`: pci_reset_function()',
};

export type Kernel = 'linux-5.10' | 'linux-5.13' | 'linux-6.1' | 'linux-6.12' | 'linux-7.3';

export interface Row {
  /** What is looked at. */
  readonly state: string;
  /** The kernel function that puts it back, or why it is as it is. */
  readonly by: string;
  /** Where a state is newer. */
  readonly since?: 'linux-6.1';
  /** Why every kind has the same value. */
  readonly throughout?: string;
  readonly seen?: Partial<Readonly<Record<ResetKind, string>>>;
  readonly cells: Readonly<Record<ResetKind, string>>;
}

/** Every kind has one value. */
function all(value: string): Readonly<Record<ResetKind, string>> {
  return {
    flr: value,
    'af-flr': value,
    pm: value,
    'device-specific': value,
    bus: value,
    slot: value,
    'hot-reset': value,
    d3hot: value,
    d3cold: value,
    'guest-flr': value,
    'guest-af-flr': value,
    sysfs: value,
  };
}

/** Kinds that do not exist before 6.1, where nothing puts an open device to sleep. */
export const SINCE: Partial<Readonly<Record<ResetKind, 'linux-6.1'>>> = { d3cold: 'linux-6.1' };

export const STATE_NAMES = [
  'msi',
  'msix',
  'msixMask',
  'msixPending',
  'intx',
  'intxMask',
  'command',
  'userBar',
  'bar',
  'registers',
  'migration',
  'dmaLog',
  'lowPower',
  'ioeventfd',
  'notifiers',
  'mapping',
] as const;
export type StateName = (typeof STATE_NAMES)[number];

export const MATRIX: Readonly<Record<StateName, Row>> = {
  msi: {
    state: 'MSI armed with an eventfd, raised after',
    by: 'lost by hardware; __pci_restore_msi_state()',
    throughout: 'every kind ends in pci_restore_state(), which programs MSI anew',
    cells: all('delivered'),
  },
  msix: {
    state: 'MSI-X armed with an eventfd, raised after',
    by: 'lost by hardware with table and masks; __pci_restore_msix_state() writes msix_ctrl of each entry',
    throughout: 'every kind ends in pci_restore_state(), which writes entries and masks anew',
    cells: all('delivered'),
  },
  msixMask: {
    state: 'MSI-X entry without eventfd, raised after',
    by: 'masked by the kernel before and after: __pci_restore_msix_state()',
    throughout: 'the mask of the kernel is put back as it was',
    cells: all('waits'),
  },
  msixPending: {
    state: 'pending bit of a masked MSI-X entry, set before',
    by: 'hardware clears the array; nobody has a copy',
    throughout: 'each of these resets reaches the pending bit array, and the kernel saves none',
    cells: all('lost'),
  },
  intx: {
    state: 'INTx armed with an eventfd, raised after',
    by: 'DisINTx comes back with COMMAND: pci_restore_config_space()',
    throughout: 'COMMAND is in the saved header',
    cells: all('delivered'),
  },
  intxMask: {
    state: 'INTx raised before and not unmasked, raised again after',
    by: 'the mask is DisINTx, restored; vfio\'s own flag is not touched: vfio_pci_intx_unmask_handler() waits for the user',
    throughout: 'no reset unmasks for the user',
    cells: all('masked until the user unmasks'),
  },
  command: {
    state: 'COMMAND as the user wrote it: I/O, memory, bus master',
    by: 'virtual bits are the kernel\'s copy; hardware\'s are restored: pci_restore_config_space()',
    throughout: 'the header is saved before and restored after',
    seen: { flr: 'reset:device:0000:01:00.0#12-14', d3hot: 'reset:device:0000:01:00.0#148-159', 'guest-flr': 'reset:device:0000:01:00.0#205-208' },
    cells: all('0007'),
  },
  userBar: {
    state: 'BAR 0 as the user wrote it',
    by: 'virtual only: vfio_bar_fixup() of the copy in vconfig',
    throughout: 'vconfig is the kernel\'s memory: no reset reaches it before the close',
    seen: { flr: 'reset:device:0000:01:00.0#138-140' },
    cells: all('d0000000'),
  },
  bar: {
    state: 'the address in a BAR of the hardware',
    by: 'lost by hardware; pci_restore_config_space(), after D3hot pci_restore_bars() too',
    throughout: 'BARs are in the saved header',
    seen: { d3hot: 'reset:device:0000:01:00.0#184-188' },
    cells: all('has its address'),
  },
  registers: {
    state: 'a register of the device itself, written before',
    by: 'hardware: the function\'s own state is what a reset is for',
    throughout: 'each of these resets reaches the whole function; the kernel knows nothing of its registers',
    cells: all('lost'),
  },
  migration: {
    state: 'migration state, STOP before (a driver with reset_done, as mlx5-vfio-pci)',
    by: 'reset_done of the driver, by pci_dev_restore(); changes of power have no callback',
    since: 'linux-6.1',
    cells: { ...all('RUNNING'), d3hot: 'STOP', d3cold: 'STOP' },
  },
  dmaLog: {
    state: 'DMA logging, started before; a page written after',
    by: 'the log is the driver\'s and is not in the function: no reset_done stops it',
    since: 'linux-6.1',
    throughout: 'only STOP and the close end the log',
    cells: all('logged'),
  },
  lowPower: {
    state: 'LOW_POWER_ENTRY before: a second ENTRY after',
    by: 'pm_runtime_engaged is the kernel\'s: vfio_pci_runtime_pm_entry()',
    since: 'linux-6.1',
    cells: { ...all('entered'), d3cold: 'left' },
  },
  ioeventfd: {
    state: 'ioeventfd registered before, signalled after',
    by: 'a list of the kernel\'s: vfio_pci_ioeventfd_handler()',
    throughout: 'the list ends with the close only',
    cells: all('writes'),
  },
  notifiers: {
    state: 'ERR and REQ armed before',
    by: 'eventfds of the kernel, err_trigger and req_trigger: they end with the close or by SET_IRQS only. ERR needs PCI Express here',
    cells: { ...all('REQ signals'), flr: 'both signal', slot: 'both signal', 'guest-flr': 'both signal', sysfs: 'both signal' },
  },
  mapping: {
    state: 'a mapping of BAR 0, read after',
    by: 'zapped for the reset, and faulted in again: vfio_pci_zap_and_down_write_memory_lock(), vfio_pci_mmap_fault()',
    throughout: 'memory decoding is on again when the lock is free',
    cells: all('reads the device'),
  },
};

/** docs/resets.md, from the table. */
export function document(): string {
  const rows = STATE_NAMES.map((name) => MATRIX[name]);
  const cell = (row: Row, kind: ResetKind): string => `${row.cells[kind]}${row.seen?.[kind] === undefined ? '' : ' *'}`;
  return [
    '# What a reset does',
    '',
    'Made from the table in packages/vfio-pci/test/reset-matrix.ts, whose every cell is a test on linux-5.10, 5.13, 6.1, 6.12 and 7.3. Rows are',
    'what user space has before; columns are ways to be reset; a cell is what it finds after. `*`: a recording of a real kernel shows it.',
    '',
    `| | ${KINDS.join(' | ')} |`,
    `|---|${KINDS.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${row.state} | ${KINDS.map((kind) => cell(row, kind)).join(' | ')} |`),
    '',
    '## The kinds',
    '',
    ...KINDS.map((kind) => `- **${kind}**: ${KIND_TEXT[kind]}${SINCE[kind] === undefined ? '' : `; from ${SINCE[kind]} on`}.`),
    '',
    '## The states',
    '',
    ...rows.flatMap((row) => {
      const since = row.since === undefined ? '' : ` From ${row.since} on.`;
      const throughout = row.throughout === undefined ? '' : ` One value throughout: ${row.throughout}.`;
      const seen = Object.entries(row.seen ?? {}).map(([kind, where]) => `${kind} in ${where}`);
      return [`- **${row.state}**: ${row.by}.${since}${throughout}${seen.length === 0 ? '' : ` Recorded: ${seen.join(', ')}.`}`];
    }),
    '',
  ].join('\n');
}
