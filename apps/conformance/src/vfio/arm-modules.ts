/** The kernel modules of the platform recordings: the recorder's own, native drivers, and who depends on whom. */
import { Driver, constant, get, set, type Sleeps } from '@vsim/vfio-core';
import { CHIP_RESETS, ResetModules, type PlatformDevice } from '@vsim/vfio-platform';

/** Reset modules of the kernel, by name. */
const CHIPS: Readonly<Record<string, string>> = {
  'calxeda,hb-xgmac': 'vfio_platform_calxedaxgmac',
  'amd,xgbe-seattle-v1a': 'vfio_platform_amdxgbe',
  'brcm,iproc-flexrm-mbox': 'vfio_platform_bcmflexrm',
};
/** Where `vsim,sour` finds what it is to answer. */
const ANSWER = 0x10;

/** The modules that are installed: one of the recorder's has two reset functions. */
export function installedResets(): ResetModules {
  const resets = new ResetModules();
  for (const [compatible, reset] of CHIP_RESETS) resets.register(compatible, reset, CHIPS[compatible]);
  resets.register('vsim,quiet', () => constant(0), 'vsim_reset');
  resets.register('vsim,sour', (device) => constant(answerOf(device)), 'vsim_reset');
  return resets;
}

function answerOf({ host, resources }: PlatformDevice): number {
  const word = new Uint8Array(4);
  set(word, [0, 'u32'], host.memory.read32((resources[0]?.start ?? 0) + ANSWER));
  return get(word, [0, 's32']);
}

/** The modules that use others, which keep those in use as long as they are loaded. */
export const DEPENDENTS: Readonly<Record<string, readonly string[]>> = {
  vfio: ['vfio_iommu_type1', 'vfio_pci', 'vfio_pci_core', 'vfio_platform', 'vfio_amba', 'vfio_platform_base'],
  vfio_platform_base: ['vfio_platform', 'vfio_amba', ...Object.values(CHIPS), 'vsim_reset'],
};

/** A driver of the kernel's own, as far as binding and its interrupts go. */
export class NativePlatformDriver extends Driver<PlatformDevice> {
  override readonly name: string;
  readonly #takes: (device: PlatformDevice) => boolean;
  readonly #chains: boolean;

  constructor(name: string, takes: (device: PlatformDevice) => boolean, chains = false) {
    super();
    this.name = name;
    this.#takes = takes;
    this.#chains = chains;
  }

  override match(device: PlatformDevice): boolean {
    return device.driverOverride === this.name || this.#takes(device);
  }

  override *probe(device: PlatformDevice): Sleeps<number> {
    for (const line of device.lines()) {
      if (this.#chains) line.chain();
      else line.request(() => undefined);
    }
    return 0;
  }

  override *remove(device: PlatformDevice): Sleeps<void> {
    if (!this.#chains) for (const line of device.lines()) line.free();
  }
}

/** By the name that modprobe is given. */
export const NATIVE: Readonly<Record<string, { readonly bus: 'platform' | 'amba'; readonly driver: () => NativePlatformDriver }>> = {
  'gpio-pl061': { bus: 'amba', driver: () => new NativePlatformDriver('pl061_gpio', ({ peripheralId }) => (peripheralId & 0xf_ffff) === 0x4_1061, true) },
  'rtc-pl031': { bus: 'amba', driver: () => new NativePlatformDriver('rtc-pl031', ({ peripheralId }) => (peripheralId & 0xf_ffff) === 0x4_1031) },
  virtio_mmio: { bus: 'platform', driver: () => new NativePlatformDriver('virtio-mmio', ({ firmware }) => firmware.compatible?.includes('virtio,mmio') ?? false) },
};
