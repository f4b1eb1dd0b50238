import { describe, expect, it } from 'vitest';
import type { ErrorReport } from './report.ts';
import { refusalOf } from './refusal.ts';

const error = (id: string, rest: Partial<ErrorReport> = {}): ErrorReport => ({ id, line: 7, text: '', devices: ['0000:01:00.0'], means: '', remedies: ['Look.', 'Boot otherwise.'], here: [], harmless: false, ...rest });
const of = (...errors: readonly ErrorReport[]) => refusalOf('0000:01:00.0', errors);

describe('refusalOf', () => {
  it('is of errors that name the function alone', () => {
    expect(of(error('stuck-in-d3', { devices: ['0000:02:00.0'] }), error('stuck-in-d3', { devices: [] }))).toBeUndefined();
  });

  it('is not of errors that are no obstacle', () => {
    expect(of(error('no-reset-mechanism'))).toBeUndefined();
  });

  it('takes the first that is one, with its line and its first remedy', () => {
    expect(of(error('no-reset-mechanism'), error('rmrr-locked', { line: 9 }))).toEqual({ because: expect.stringMatching(/\(RMRR\).* \(line 9\)$/) as string, otherwise: 'Look', forNow: false });
  });

  it('names who holds the addresses, and does not send anybody to look for them', () => {
    const found = of(error('bar-reserved', { here: ['something else', '/proc/iomem has BOOTFB inside of 0000:01:00.0'] }));
    expect(found).toMatchObject({ because: expect.stringContaining('/proc/iomem has BOOTFB') as string, otherwise: 'Boot otherwise', forNow: true });
  });

  it('sends to look where the text does not show who holds the addresses', () => {
    expect(of(error('bar-reserved'))?.otherwise).toBe('Look');
  });
});
