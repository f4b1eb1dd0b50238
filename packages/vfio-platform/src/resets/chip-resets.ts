/** The reset modules that the kernel has, by compatible string. Kernel: drivers/vfio/platform/reset; catalogue: vfio 4.7. */
import type { ResetFunction } from '../vfio/reset-modules.ts';
import { resetAmdXgbe } from './amdxgbe.ts';
import { resetBcmFlexrm } from './bcmflexrm.ts';
import { resetCalxedaXgmac } from './calxedaxgmac.ts';

export const CHIP_RESETS: ReadonlyMap<string, ResetFunction> = new Map<string, ResetFunction>([
  ['calxeda,hb-xgmac', resetCalxedaXgmac],
  ['amd,xgbe-seattle-v1a', resetAmdXgbe],
  ['brcm,iproc-flexrm-mbox', resetBcmFlexrm],
]);
