import { describe } from 'vitest';
import { everyOrderOn } from './step-scenarios.ts';

describe.each(['linux-5.10', 'linux-5.13', 'linux-6.12'] as const)('every order of vfio-pci\'s steps and a user, on %s', everyOrderOn);
