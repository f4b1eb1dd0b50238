import type { FileTree } from './file-tree.ts';
import { constant } from './scheduler.ts';

const PROGRAM = '/sbin/modprobe';

/**
 * The program that loads modules for the kernel when it asks for one: /proc/sys/kernel/modprobe. Whoever makes it useless has a kernel that
 * finds only what is loaded. Kernel: call_modprobe().
 */
export class ModuleHelper {
  #path = PROGRAM;

  constructor(files: FileTree) {
    files.add('/proc/sys/kernel/modprobe', {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(`${this.#path}\n`),
      store: (bytes) => {
        this.#path = new TextDecoder().decode(bytes).split('\n', 1)[0] ?? '';
        return constant(bytes.length);
      },
    });
  }

  /** request_module() finds what is installed. */
  get works(): boolean {
    return this.#path === PROGRAM;
  }
}
