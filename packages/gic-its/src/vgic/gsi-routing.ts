/** Where the GSIs of a VM lead: to a message, or to a pin of the vgic. Kernel: struct kvm_irq_routing_entry, kvm_set_routing_entry() of arm64. */

/** A GSI that leads to a message, as KVM_IRQ_ROUTING_MSI. */
export interface MsiRoute {
  /** The global system interrupt, below 4096. */
  readonly gsi: number;
  /** Doorbell: guest physical address of the ITS' GITS_TRANSLATER. */
  readonly address: number;
  /** EventID, 32 bits. */
  readonly data: number;
  /** DeviceID, 32 bits; undefined leaves KVM_MSI_VALID_DEVID out. */
  readonly device: number | undefined;
}

/** A GSI that leads to a wired interrupt, as KVM_IRQ_ROUTING_IRQCHIP. */
export interface PinRoute {
  /** The global system interrupt, below 4096. */
  readonly gsi: number;
  /** INTID of the SPI, less 32. */
  readonly pin: number;
}

/** Where one GSI leads: to a message, or to a pin of the vgic. */
export type GsiRoute = MsiRoute | PinRoute;

export function isMsiRoute(route: GsiRoute | undefined): route is MsiRoute {
  return route !== undefined && 'address' in route;
}

/** Whether two routes are the same MSI. */
export function sameMsi(a: GsiRoute | undefined, b: GsiRoute | undefined): boolean {
  return isMsiRoute(a) && isMsiRoute(b) && a.address === b.address && a.data === b.data && a.device === b.device;
}
