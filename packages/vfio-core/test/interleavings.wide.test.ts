import { describe } from 'vitest';
import { everyOrderOn } from './interleaving-scenarios.ts';

describe.each(['linux-5.13', 'linux-6.1'] as const)('every order of kernel and user, on %s', everyOrderOn);
