import { EACCES, EINVAL, reason, type Reason } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import type { VfioPciRegistry } from './registry.ts';
import { matchName, type VfToken } from './vf-token.ts';
import { VF_OPTION } from './vfio-pci-reasons.ts';
import type { VfioPciDevice } from './vfio-pci-device.ts';

/** A device was asked for with a VF token that does not fit: the kernel's notice. */
export const VF_TOKEN_REFUSED: Reason<{ readonly device: string; readonly error: number }> = reason({
  id: 'vfio-pci/vf-token-refused',
  errno: [EACCES, EINVAL],
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'a VF whose PF is vfio-pci\'s, and a PF with VFs in use, are opened with the token of the PF; all others without one',
  kernel: 'vfio_pci_validate_vf_token()',
  wayOut: 'set the token on the fd of the PF with VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, and give it behind the name',
  text: ({ device, error }) =>
    error === -EINVAL
      ? `${device}: a vf_token is given, and its PF is not vfio-pci's: leave it out`
      : `${device}: the vf_token of its PF has to be given as "${device} vf_token=UUID"; the PF's user sets it`,
});

/** Who may open a PF or a VF, by the token of the PF: vfio_pci_validate_vf_token(), get_pf_vdev(). */
export class TokenUse {
  readonly #device: PciDevice;
  readonly #registry: VfioPciRegistry;
  /** The PF's token, which an open VF keeps from being replaced. */
  #used: VfToken | undefined;

  constructor(device: PciDevice, registry: VfioPciRegistry) {
    this.#device = device;
    this.#registry = registry;
  }

  /** The name of GET_DEVICE_FD: 1 for this device, 0 for another, or the errno of a token that does not fit. @param own a PF's */
  match(name: string, own: VfToken | undefined): number {
    const match = matchName(this.#device.name, name);
    if (match === undefined) return 0;
    const { host, name: device } = this.#device;
    if (typeof match === 'number') return host.refusals.refuse(VF_OPTION, { device, name });
    const error = this.#check(match.token, own);
    return error < 0 ? host.refusals.refuse(VF_TOKEN_REFUSED, { device, error }, -error) : 1;
  }

  /** The first open of a VF. */
  begin(): void {
    const pf = this.#physicalFunction();
    this.#used = pf?.token;
    if (this.#used !== undefined) this.#used.users += 1;
    pf?.put();
  }

  /** The last close. */
  end(): void {
    if (this.#used !== undefined) this.#used.users -= 1;
    this.#used = undefined;
  }

  /** Who is neither a PF nor the VF of a PF of vfio-pci has no token: to give one is a mistake. */
  #check(token: string | undefined, own: VfToken | undefined): number {
    const pf = this.#physicalFunction();
    if (pf !== undefined) {
      const error = pf.token?.checkVirtual(token) ?? 0;
      pf.put();
      return error;
    }
    if (own !== undefined) return own.check(token);
    return token === undefined ? 0 : -EINVAL;
  }

  /** The PF of a VF, if vfio-pci has that, too, with a reference that the caller puts. Any driver of the library counts (6.1). */
  #physicalFunction(): VfioPciDevice | undefined {
    const pf = this.#device.physicalFunction;
    const found = pf === undefined ? undefined : this.#registry.getReference(pf);
    if (found === undefined || this.#device.host.profile.pciCore || pf?.driverName === 'vfio-pci') return found;
    found.put();
    return undefined;
  }
}
