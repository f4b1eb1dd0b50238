/** Sections with good checksums and other contents: the migration is cancelled or done, one side runs, and the destination can be destroyed. */
import { decodeStream, encodeStream, getMigrationState, MIG_STATE, Random } from '@vsim/vfio-core';
import { Link, migrate } from '@vsim/vmm';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../src/demo/ledger.ts';
import { bootVm, buildHost, incomingVm, samePlace, type GuestVm } from '../src/demo/setup.ts';
import { Traffic } from '../src/demo/traffic.ts';

type Change = (data: Uint8Array) => Uint8Array;
const runs = ({ vm }: GuestVm): boolean => vm.kvm.vcpus.some(({ state }) => state !== 'stopped');

/** Migrates with the sections whose names begin so changed. @returns the outcome, and who runs */
function changed(section: string, change: Change): { outcome: string; phase: string | undefined; source: boolean; destination: boolean } {
  const ledger = new Ledger();
  const source = bootVm(buildHost({ seed: 1, tickers: 1 }), ledger, 1);
  const destination = incomingVm(buildHost({ seed: 2, tickers: 1 }), ledger, 1);
  new Traffic(new Random(1), ledger, source.vm, 50).run(20);
  const transport = (message: Uint8Array): Uint8Array =>
    encodeStream(decodeStream(message).map((part) => ({ ...part, data: part.name.startsWith(section) ? change(part.data.slice()) : part.data })));
  const result = migrate({ source: source.vm, destination: destination.vm, link: new Link(), place: samePlace, transport });
  const who = { outcome: result.outcome, phase: 'phase' in result ? result.phase : undefined, source: runs(source), destination: runs(destination) };
  if (result.outcome === 'cancelled') {
    expect(source.vm.devices.map(({ fd }) => getMigrationState(source.vm.process, fd))).toEqual([MIG_STATE.RUNNING]);
    destination.vm.destroy();
  }
  return who;
}

const CANCELLED = { outcome: 'cancelled', source: true, destination: false };
const cut = (length: number): Change => (data) => data.slice(0, length);
const longer = (bytes: number): Change => (data) => {
  const out = new Uint8Array(data.length + bytes);
  out.set(data);
  return out;
};

describe('a section with a good checksum and', () => {
  it('the right contents: migrated', () => {
    expect(changed('nothing', (data) => data)).toMatchObject({ outcome: 'migrated', source: false, destination: true });
  });

  for (const section of ['msix', 'device', 'vgic', 'its']) {
    for (const [name, change] of [['no byte', cut(0)], ['one byte', cut(1)], ['a byte less', (data: Uint8Array) => data.slice(0, -1)], ['a byte more', longer(1)], ['a megabyte more', longer(1 << 20)]] as const) {
      // MSI-X that is off has no vector.
      if (section === 'msix' && name === 'no byte') continue;
      it(`${section}: ${name}: cancelled, the source runs [R5]`, () => {
        expect(changed(section, change)).toMatchObject(CANCELLED);
      });
    }
  }

  it('msix: 79 bytes, more vectors than there are, an address that is none: refused before anything is applied [R5]', () => {
    for (const change of [cut(79), longer(20), () => new Uint8Array(20 * 4096), (data: Uint8Array) => data.fill(0x80, 7, 8), (data: Uint8Array) => data.fill(0xff)]) {
      expect(changed('msix', change)).toEqual({ ...CANCELLED, phase: 'send' });
    }
  });

  it('msix: no vector at all: MSI-X is off at the destination [R5]', () => {
    expect(changed('msix', cut(0))).toMatchObject({ outcome: 'migrated', destination: true });
  });

  it('any bytes flipped: one side runs, whatever it was [R5]', () => {
    const random = new Random(5);
    for (let n = 0; n < 12; n += 1) {
      const section = ['msix', 'device', 'vgic', 'its'][n % 4]!;
      const { source, destination } = changed(section, (data) => {
        for (let i = 0; i < 3; i += 1) data[random.below(data.length)] = random.below(256);
        return data;
      });
      expect([section, source !== destination]).toEqual([section, true]);
    }
  });

  it('a phase that throws is no reason for the source to stand still [R5]', () => {
    const ledger = new Ledger();
    const source = bootVm(buildHost({ seed: 1, tickers: 1 }), ledger, 1);
    const destination = incomingVm(buildHost({ seed: 2, tickers: 1 }), ledger, 1);
    const transport = (): Uint8Array => {
      throw new TypeError('the wire');
    };
    expect(() => migrate({ source: source.vm, destination: destination.vm, link: new Link(), place: samePlace, transport })).toThrow('the wire');
    expect([runs(source), runs(destination)]).toEqual([true, false]);
    destination.vm.destroy();
  });
});
