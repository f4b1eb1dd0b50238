/** Flags of open() and mmap(): asm-generic/fcntl.h and mman.h. */

/** open(): to read only. */
export const O_RDONLY = 0;
/** open(): to write only. */
export const O_WRONLY = 1;
/** open(): to read and write. */
export const O_RDWR = 2;

/** mmap(): loads are allowed. */
export const PROT_READ = 1;
/** mmap(): stores are allowed. */
export const PROT_WRITE = 2;
/** mmap(): instructions may be fetched; looked at by kernels of 7.x for files without a path. */
export const PROT_EXEC = 4;
/** mmap(): stores reach the file, and a child of fork() has the same pages. */
export const MAP_SHARED = 1;
/** mmap(): stores stay in the process: a copy is made at once. */
export const MAP_PRIVATE = 2;
