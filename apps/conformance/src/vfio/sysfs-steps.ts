/** Steps on sysfs: attributes, links, folders, and the configuration space as root sees it. */
import { O_RDONLY, O_WRONLY, errnoName } from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import { PCI_CAP_ID_PM, PCI_PM_CTRL, findCapability } from '@vsim/vfio-pci';
import { CLOSE_RACE_RULE, LISTING_RULE, RUNTIME_STATUS_RULE } from './relaxed.ts';
import type { Session } from './session.ts';

/** PCI_PM_CTRL_STATE_MASK: 0 is D0, 3 D3hot. */
const PM_STATE = 3;

/** /dev of an fsl-mc machine: who else has something there is the recording machine's affair. */
const LISTINGS = /^\/dev$/;

export class SysfsSteps {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  write(step: Fields): void {
    const result = this.#session.call('write', this.#session.machine.process.sys.writeFile(step.string('path'), step.string('text')));
    this.#session.result(step, result);
    if (result < 0 || step.has('at')) this.#compareOpen(step, O_WRONLY);
  }

  /** `at: "open"`: the open had failed already. */
  #compareOpen(step: Fields, flags: number): void {
    const { host, process } = this.#session.machine;
    const node = host.files.lookup(step.string('path'));
    const there = node?.kind === 'attribute' && (flags === O_WRONLY ? node.store !== undefined : node.show !== undefined);
    const opens = there && process.mayAccess(node.mode, flags);
    this.#session.report.compare('at', step.has('at') ? step.string('at') : null, opens ? null : 'open');
  }

  /** @param closed the device whose fd was closed right before */
  read(step: Fields, closed?: string): void {
    const content = this.#session.call('read', this.#session.machine.process.sys.readFile(step.string('path')));
    if (typeof content === 'number') {
      if (step.has('ret')) {
        this.#session.result(step, content);
        this.#compareOpen(step, O_RDONLY);
      } else this.#session.report.compare('text', step.raw('text') === null ? null : step.string('text'), null);
      return;
    }
    const text = typeof content === 'string' ? content : new TextDecoder().decode(content);
    if (closed !== undefined && this.#suspendsLater(step, closed, text)) {
      this.#session.report.relax(RUNTIME_STATUS_RULE);
      return;
    }
    if (step.has('ret')) this.#session.result(step, text.length);
    // Where the recording has no return value it has the text without its newline.
    const expected = !step.has('text') || step.raw('text') === null ? null : step.string('text');
    this.#session.report.compare('text', expected, step.has('ret') ? text : text.trimEnd());
  }

  /** Since 6.12 the worker that suspends a device may come after a read of its status. */
  #suspendsLater(step: Fields, closed: string, text: string): boolean {
    const status = step.string('path').endsWith(`/${closed}/power/runtime_status`);
    return status && this.#session.machine.host.profile.name !== 'linux-6.1' && text === 'suspended\n' && step.raw('text') === 'active\n';
  }

  /** Lines of a file in /proc that hold a word. */
  lines(step: Fields): void {
    const content = this.#session.call('read', this.#session.machine.process.sys.readFile(step.string('path')));
    const found = typeof content === 'string' ? content.split('\n').filter((line) => line.includes(step.string('match'))) : [];
    this.#session.report.compare('lines', JSON.stringify(step.list('lines')), JSON.stringify(found.map((line) => line.trim())));
  }

  link(step: Fields): void {
    const node = this.#session.machine.host.files.lookup(step.string('path'), true);
    const target = node?.kind === 'link' ? (node.target.split('/').at(-1) ?? '') : null;
    this.#session.report.compare('to', step.raw('to') === null ? null : step.string('to'), target);
  }

  /** Permission bits of a file, folder or link itself, in octal. */
  mode(step: Fields): void {
    const node = this.#session.machine.host.files.lookup(step.string('path'), true);
    const mode = node === undefined ? null : (node.kind === 'link' ? 0o777 : node.kind === 'folder' ? 0o755 : node.mode).toString(8);
    this.#session.report.compare('mode', step.raw('mode') === null ? null : step.string('mode'), mode);
  }

  list(step: Fields): void {
    const node = this.#session.machine.host.files.lookup(step.string('path'));
    if (this.#session.machine.fslmc !== undefined && LISTINGS.test(step.string('path')) && node !== undefined) {
      this.#session.report.relax(LISTING_RULE);
      return;
    }
    const names = node?.kind === 'folder' ? [...node.entries.keys()].sort().join(' ') : null;
    this.#session.report.compare('names', step.raw('names') === null ? null : step.list('names').filter((name) => typeof name === 'string').join(' '), names);
  }

  /** @param closed the device whose fd was closed right before */
  rawConfig(step: Fields, closed: string | undefined): void {
    const name = step.string('device');
    const expected = step.bytes('out');
    if (expected.length % 2 !== 0) return step.fail('out', 'whole words');
    const at = step.number('at');
    const content = this.#session.call('read', this.#session.machine.process.sys.readFile(`/sys/bus/pci/devices/${name}/config`));
    if (!(content instanceof Uint8Array)) {
      this.#session.report.compare('out', toHex(expected), typeof content === 'number' ? errnoName(content) : content);
      return;
    }
    const actual = content.slice(at, at + expected.length);
    if (closed === name) this.#relaxPowerState(content, at, expected, actual);
    this.#session.report.compare('out', toHex(expected), toHex(actual));
  }

  /** Linux 7.3: whether the device that was just closed is in D3hot already, or in D0 still, changes from boot to boot. */
  #relaxPowerState(config: Uint8Array, at: number, expected: Uint8Array, actual: Uint8Array): void {
    const capability = findCapability(config, PCI_CAP_ID_PM);
    const offset = capability + PCI_PM_CTRL - at;
    if (capability === 0 || this.#session.machine.host.profile.name !== 'linux-7.3' || offset < 0 || offset >= expected.length) return;
    const [want = 0, have = 0] = [expected[offset], actual[offset]];
    if (((want ^ have) & ~PM_STATE) !== 0 || want === have || ![0, PM_STATE].includes(want & PM_STATE)) return;
    this.#session.report.relax(CLOSE_RACE_RULE);
    actual[offset] = want;
  }
}
