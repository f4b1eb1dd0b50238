/** The doors of this package for fuzzers: what clients say to servers, and servers to clients. */
import type { Door } from '../../../testing/fuzz.ts';
import { COMMANDS_DOOR } from './command-door.ts';
import { REPLIES_DOOR } from './reply-door.ts';

export const DOORS: readonly Door[] = [COMMANDS_DOOR, REPLIES_DOOR];
