/** The doors of the demo for fuzzers: streams of a migration, and migrations. */
import { decodeStream, encodeStream, getMigrationState, MIG_STATE, Random } from '@vsim/vfio-core';
import { Link, migrate } from '@vsim/vmm';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { Ledger } from '../src/demo/ledger.ts';
import { bootVm, buildHost, incomingVm, samePlace } from '../src/demo/setup.ts';
import { Traffic } from '../src/demo/traffic.ts';
import { MIGRATIONS_DOOR } from './migrations-door.ts';

interface StreamInput {
  readonly section: string;
  readonly change: 'bytes' | 'cut' | 'longer' | 'ones' | 'drop' | 'twice' | 'version' | 'wire';
  readonly at: number;
  readonly values: readonly number[];
}

/** The migration is done or cancelled, exactly one side runs, and the destination of a cancelled one can be destroyed. */
class Streams implements World<StreamInput> {
  generate(random: Random): StreamInput {
    return {
      section: pick(random, ['msix', 'device', 'vgic', 'its', '']),
      change: pick(random, ['bytes', 'bytes', 'bytes', 'bytes', 'bytes', 'cut', 'longer', 'ones', 'drop', 'twice', 'version', 'wire']),
      at: random.uint32(),
      values: Array.from({ length: 1 + random.below(4) }, () => random.uint32()),
    };
  }

  check(input: StreamInput): Depth {
    const ledger = new Ledger();
    const source = bootVm(buildHost({ seed: 1, tickers: 1 }), ledger, 1);
    const destination = incomingVm(buildHost({ seed: 2, tickers: 1 }), ledger, 1);
    new Traffic(new Random(1), ledger, source.vm, 50).run(10);
    const lengths = new Map<string, number>();
    const result = migrate({ source: source.vm, destination: destination.vm, link: new Link(), place: samePlace, transport: (message) => {
      for (const { name, data } of decodeStream(message)) lengths.set(name, data.length);
      return changed(message, input);
    } });
    const runs = [source, destination].map(({ vm }) => vm.kvm.vcpus.some(({ state }) => state !== 'stopped'));
    if (wrongLength(lengths, input)) same('the outcome of a wrong length', result.outcome, 'cancelled');
    same('who runs', runs, result.outcome === 'cancelled' ? [true, false] : [false, true]);
    if (result.outcome === 'migrated') return 'succeeded';
    if (result.outcome === 'cancelled') {
      same('devices of the source', source.vm.devices.map(({ fd }) => getMigrationState(source.vm.process, fd)), [MIG_STATE.RUNNING]);
      destination.vm.destroy();
    }
    return result.phase === 'send' ? 'refused' : 'past';
  }
}

/** Every section but MSI-X, which has 20 bytes a vector, has one length. */
function wrongLength(lengths: ReadonlyMap<string, number>, { section, change, at }: StreamInput): boolean {
  return [...lengths].some(([name, length]) => {
    if (!name.startsWith(section)) return false;
    const cut = at % (length + 1);
    return name.startsWith('msix') ? change === 'cut' && cut % 20 !== 0 : change === 'longer' || (change === 'cut' && cut !== length);
  });
}

function changed(message: Uint8Array, { section, change, at, values }: StreamInput): Uint8Array {
  if (change === 'wire') {
    const out = message.slice();
    for (const value of values) out[value % out.length] = value >>> 24;
    return out;
  }
  const parts = decodeStream(message).flatMap((part) => {
    if (!part.name.startsWith(section)) return [part];
    const data = part.data.slice();
    if (change === 'drop') return [];
    if (change === 'twice') return [part, part];
    if (change === 'version') return [{ ...part, version: at % 3 }];
    if (change === 'cut') return [{ ...part, data: data.slice(0, at % (data.length + 1)) }];
    if (change === 'longer') return [{ ...part, data: new Uint8Array([...data, ...values]) }];
    if (change === 'ones') return [{ ...part, data: data.fill(0xff, at % data.length) }];
    for (const value of values) data[value % data.length] = value >>> 24;
    return [{ ...part, data }];
  });
  return encodeStream(parts);
}

export const DOORS: readonly Door[] = [{ name: 'migration-stream', length: 10, open: () => new Streams() }, MIGRATIONS_DOOR];
