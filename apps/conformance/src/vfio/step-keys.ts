/**
 * The keys of headers and steps that the runner understands: each is an argument of the call, or is compared. A step with another
 * one says something that nobody looked at, and is a divergence.
 */
import type { Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';

/** What only people read: a recording's README says of these that they need not be compared. */
const FOR_PEOPLE = ['args', 'note'] as const;

/** A step whose outcome depends on time has `timing: true`. */
const STEP = ['n', 'call', 'timing'] as const;
const RESULT = ['ret', 'errno'] as const;
const POSITION = ['off', 'region', 'at'] as const;

const CALLS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>(Object.entries({
  open: ['path', 'flags', 'as', ...RESULT],
  close: ['fd', ...RESULT],
  dup: ['fd', 'as', ...RESULT],
  ioctl: ['fd', 'req', 'arg', 'ptr', 'str', 'in', 'room', 'refs', 'as', 'out', ...RESULT],
  pread: ['fd', 'len', 'out', 'buffer', ...POSITION, ...RESULT],
  pwrite: ['fd', 'in', 'len', 'buffer', ...POSITION, ...RESULT],
  read: ['fd', 'len', 'out', 'at', ...RESULT],
  write: ['fd', 'in', 'len', 'at', ...RESULT],
  lseek: ['fd', 'off', 'whence', ...RESULT],
  poll: ['fd', 'events', 'revents', ...RESULT],
  mmap: ['as', 'fd', 'len', 'off', 'prot', 'flags', ...RESULT],
  munmap: ['map', ...RESULT],
  munmap_part: ['map', 'add', 'len', ...RESULT],
  mem_read: ['map', 'off', 'size', 'out'],
  mem_write: ['map', 'off', 'in'],
  eventfd: ['as', 'init', ...RESULT],
  eventfd_read: ['fd', 'count', ...RESULT],
  eventfd_wait: ['fd', 'timeout_ms', 'count', ...RESULT],
  eventfd_write: ['fd', 'value', ...RESULT],
  sysfs_write: ['path', 'text', 'at', ...RESULT],
  sysfs_read: ['path', 'text', 'at', ...RESULT],
  sysfs_link: ['path', 'to'],
  ls: ['path', 'names'],
  file_mode: ['path', 'mode'],
  device_present: ['device', 'present'],
  raw_config: ['device', 'at', 'out', ...RESULT],
  spawn_sysfs_write: ['job', 'path', 'text'],
  spawn_sysfs_read: ['job', 'path'],
  spawn_ioctl: ['job', 'fd', 'req', 'arg', 'str', 'in', 'refs', 'as'],
  spawn_close: ['job', 'fd'],
  spawn_remove_devices: ['job', 'devices'],
  job_state: ['job', 'wait_ms', 'done', 'exit', 'ret'],
  job_wait: ['job', 'done', 'exit', 'ret'],
  phys_read: ['addr', 'len', 'out'],
  phys_write: ['addr', 'in'],
  pulse: ['spi'],
  gic_pending: ['spi', 'pending'],
  proc_interrupts: ['rows'],
  kmsg: ['lines'],
  capability: ['bit', 'on', ...RESULT],
  modprobe: ['args', 'exit', 'module'],
  rmmod: ['args', 'exit', 'module', 'text'],
  mc: ['act', 'result', 'run_dependent'],
  objects: ['objects', 'label', 'without_override'],
  portal_command: ['map', 'in', 'out'],
  uapi_sweep: ['label', 'token', 'version', 'results', 'rest'],
  uapi_versions: ['version', 'results'],
  uapi_sizes: ['results'],
  dmesg: ['lines'],
  interrupts: ['lines'],
  delete_module: ['module', 'flags', ...RESULT],
  module_refcnt: ['module', 'count'],
  host: ['execute', 'arguments', 'result'],
  setrlimit_memlock: ['cur', 'max', ...RESULT],
  setuid: ['uid', ...RESULT],
  sleep: ['ms'],
  note: ['text'],
  virtual_functions: ['device', 'list'],
  cfg_probe: ['fd', 'at', 'orig', 'phys', 'readonly', 'writes', 'after', 'phys_after'],
  cfg_probe_zero: ['fd', 'from', 'to'],
  cfg_probe_repeat: ['fd', 'like', 'from', 'to'],
  fdinfo: ['fd', 'text'],
  proc_lines: ['path', 'match', 'lines'],
  end: [],
}));

/** A header's own keys, then those that tell people what the scenario is about: its steps name every device that they use. */
const HEADER = ['scenario', 'kernel', 'native_modules', 'vfio_nodes', 'state', 'group', 'cmdline', 'device', 'devices', 'driver', 'iommu', 'ports', 'seed', 'machine', 'modules', 'parameters', 'cold', 'host', 'mdevs', 'type', 'parent', 'port', 'main', 'edu', 'content', 'driver_loaded'];
const STATE = ['driver', 'driver_override', 'config_delta', 'absent', 'new_device', 'iommu_group'];

/** The keys of a step that the runner understands. */
export function knownStepKeys(call: string): readonly string[] {
  return [...STEP, ...(CALLS.get(call) ?? []), ...FOR_PEOPLE];
}

/** Says which keys of a header, and of the states in it, the runner does not understand. */
export function checkHeaderKeys(header: Fields, report: CaseRecorder): void {
  const states = header.object('state');
  report.unknown(header, HEADER);
  for (const address of states.keys) report.unknown(states.object(address), STATE);
}
