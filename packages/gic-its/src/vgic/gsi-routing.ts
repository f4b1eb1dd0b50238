/** Where the GSIs of a VM lead: an MSI, or a pin of the GIC. Kernel: struct kvm_irq_routing_entry, kvm_set_routing_entry() of arm64. */

/** An MSI route. */
export interface MsiRoute {
  readonly gsi: number;
  /** Doorbell: guest physical address of the ITS' GITS_TRANSLATER. */
  readonly address: number;
  /** EventID. */
  readonly data: number;
  /** DeviceID; undefined leaves KVM_MSI_VALID_DEVID out. */
  readonly device: number | undefined;
}

/** The route of a wired interrupt. */
export interface PinRoute {
  readonly gsi: number;
  /** INTID of the SPI, less 32. */
  readonly pin: number;
}

export type GsiRoute = MsiRoute | PinRoute;

export function isMsiRoute(route: GsiRoute | undefined): route is MsiRoute {
  return route !== undefined && 'address' in route;
}

/** Whether two routes are the same MSI. */
export function sameMsi(a: GsiRoute | undefined, b: GsiRoute | undefined): boolean {
  return isMsiRoute(a) && isMsiRoute(b) && a.address === b.address && a.data === b.data && a.device === b.device;
}
