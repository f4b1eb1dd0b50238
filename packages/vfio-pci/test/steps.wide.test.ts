import { describe } from 'vitest';
import { everyOrderOn } from './step-scenarios.ts';

describe('every order of vfio-pci\'s steps and a user, on linux-6.1', () => { everyOrderOn('linux-6.1'); });
