/** Steps on sysfs: attributes, links, folders, and the configuration space as root sees it. */
import { errnoName } from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import { MSI_MESSAGE_RULE, messageBytes } from './relaxed.ts';
import type { Session } from './session.ts';

export class SysfsSteps {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  write(step: Fields): void {
    this.#session.result(step, this.#session.call('write', this.#session.machine.process.sys.writeFile(step.string('path'), step.string('text'))));
  }

  read(step: Fields): void {
    const content = this.#session.call('read', this.#session.machine.process.sys.readFile(step.string('path')));
    if (typeof content === 'number') {
      if (step.has('ret')) this.#session.result(step, content);
      else this.#session.report.compare('text', step.raw('text') === null ? null : step.string('text'), null);
      return;
    }
    const text = typeof content === 'string' ? content : new TextDecoder().decode(content);
    if (step.has('ret')) this.#session.result(step, text.length);
    // Where the recording has no return value it has the text without its newline.
    if (step.has('text')) this.#session.report.compare('text', step.raw('text') === null ? null : step.string('text'), step.has('ret') ? text : text.trimEnd());
  }

  link(step: Fields): void {
    const node = this.#session.machine.host.files.lookup(step.string('path'), true);
    const target = node?.kind === 'link' ? (node.target.split('/').at(-1) ?? '') : null;
    this.#session.report.compare('to', step.raw('to') === null ? null : step.string('to'), target);
  }

  list(step: Fields): void {
    const node = this.#session.machine.host.files.lookup(step.string('path'));
    const names = node?.kind === 'folder' ? [...node.entries.keys()].sort().join(' ') : null;
    this.#session.report.compare('names', step.raw('names') === null ? null : step.list('names').filter((name) => typeof name === 'string').join(' '), names);
  }

  rawConfig(step: Fields): void {
    const name = step.string('device');
    const expected = step.bytes('out');
    const at = step.number('at');
    const content = this.#session.call('read', this.#session.machine.process.sys.readFile(`/sys/bus/pci/devices/${name}/config`));
    if (!(content instanceof Uint8Array)) {
      this.#session.report.compare('out', toHex(expected), typeof content === 'number' ? errnoName(content) : content);
      return;
    }
    const actual = content.slice(at, at + expected.length);
    const device = this.#session.machine.bus.device(name);
    if (device !== undefined) {
      for (const offset of messageBytes(device.function.config.bytes)) {
        if (offset < at || offset >= at + expected.length) continue;
        if (expected[offset - at] === actual[offset - at]) continue;
        this.#session.report.relax(MSI_MESSAGE_RULE);
        actual[offset - at] = expected[offset - at]!;
      }
    }
    this.#session.report.compare('out', toHex(expected), toHex(actual));
  }
}
