/** The doors of this package for fuzzers: the commands with which people set a Management Complex up. */
import type { Door } from '../../../testing/fuzz.ts';
import { TREE_DOOR } from './tree-door.ts';

export const DOORS: readonly Door[] = [TREE_DOOR];
