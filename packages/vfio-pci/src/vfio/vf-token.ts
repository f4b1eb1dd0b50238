import {
  EACCES,
  EINVAL,
  VFIO_DEVICE_FEATURE_SET,
  checkFeature,
  type FeatureArgument,
} from '@vsim/vfio-core';

const UUID_LENGTH = 36;
const TOKEN_BYTES = 16;
const OPTION = 'vf_token=';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What a name of GET_DEVICE_FD asks for. */
export interface NameMatch {
  /** The token that the caller gave, in lower case. */
  readonly token: string | undefined;
}

/** Parses `dddd:bb:dd.f[ vf_token=UUID]`. @returns undefined for another device's name; -EINVAL for a bad option */
export function matchName(device: string, name: string): NameMatch | number | undefined {
  if (!name.startsWith(device)) return undefined;
  let rest = name.slice(device.length);
  if (rest !== '' && !rest.startsWith(' ')) return undefined;
  let token: string | undefined;
  while (rest !== '') {
    if (rest.startsWith(' ')) {
      rest = rest.slice(1);
      continue;
    }
    if (token !== undefined || !rest.startsWith(OPTION)) return -EINVAL;
    const text = rest.slice(OPTION.length, OPTION.length + UUID_LENGTH);
    if (!UUID.test(text)) return -EINVAL;
    token = text.toLowerCase();
    rest = rest.slice(OPTION.length + UUID_LENGTH);
  }
  return { token };
}

/**
 * The VF token: what a physical function and its virtual functions ask of those who open them.
 *
 * Modelled: the token of a PF, its users, the option in the device's name, the feature.
 *
 * The token of a physical function.
 */
export class VfToken {
  /** As the uuid's bytes in text order, in hex: 32 digits. */
  #token: string;
  /** Virtual functions that are open. */
  users = 0;

  constructor(random: Uint8Array) {
    this.#token = digits(random);
  }

  /** Somebody opens a VF: the token has to be shown. @returns 0, or -EACCES */
  checkVirtual(given: string | undefined): number {
    return given?.replaceAll('-', '') === this.#token ? 0 : -EACCES;
  }

  /** Somebody opens the PF. @returns 0, or -EACCES. A token that nobody depends on is replaced. */
  check(given: string | undefined): number {
    if (this.users > 0) return this.checkVirtual(given);
    if (given !== undefined) this.#token = given.replaceAll('-', '');
    return 0;
  }

  /** VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: sets the token. @param flags GET, SET and PROBE of VFIO_DEVICE_FEATURE */
  feature(flags: number, data: FeatureArgument): number {
    const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, TOKEN_BYTES);
    if (go <= 0) return go;
    const bytes = data.copyIn(TOKEN_BYTES);
    if (bytes === undefined) return data.argument.fault();
    this.#token = digits(bytes);
    return 0;
  }
}

function digits(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, TOKEN_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
