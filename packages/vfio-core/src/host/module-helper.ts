/**
 * The program that loads modules for the kernel when it asks for one: /proc/sys/kernel/modprobe. Whoever makes it useless has a kernel that
 * finds only what is loaded. Kernel: call_modprobe().
 */
import type { FileTree } from './file-tree.ts';
import type { Sleeps } from './scheduler.ts';

const PROGRAM = '/sbin/modprobe';

export class ModuleHelper {
  #path = PROGRAM;

  constructor(files: FileTree) {
    const show = (): string => `${this.#path}\n`;
    const store = (bytes: Uint8Array): number => {
      this.#path = new TextDecoder().decode(bytes).split('\n', 1)[0] ?? '';
      return bytes.length;
    };
    files.add('/proc/sys/kernel/modprobe', { kind: 'attribute', mode: 0o644, show: () => given(show()), store: (bytes) => given(store(bytes)) });
  }

  /** request_module() finds what is installed. */
  get works(): boolean {
    return this.#path === PROGRAM;
  }
}

function* given<T>(value: T): Sleeps<T> {
  return value;
}
