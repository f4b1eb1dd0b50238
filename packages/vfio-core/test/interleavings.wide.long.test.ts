import { describe } from 'vitest';
import { everyOrderOn } from './interleaving-scenarios.ts';

describe.each(['linux-5.10', 'linux-6.12'] as const)('every order of kernel and user, on %s', everyOrderOn);
