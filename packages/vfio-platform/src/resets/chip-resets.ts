import type { ResetFunction } from '../vfio/reset-modules.ts';
import { resetAmdXgbe } from './amdxgbe.ts';
import { resetBcmFlexrm } from './bcmflexrm.ts';
import { resetCalxedaXgmac } from './calxedaxgmac.ts';

/**
 * The reset modules that the kernel has (drivers/vfio/platform/reset), by compatible string, for `new ResetModules(CHIP_RESETS)`: Calxeda
 * XGMAC, AMD XGBE, Broadcom FlexRM.
 */
export const CHIP_RESETS: ReadonlyMap<string, ResetFunction> = new Map<string, ResetFunction>([
  ['calxeda,hb-xgmac', resetCalxedaXgmac],
  ['amd,xgbe-seattle-v1a', resetAmdXgbe],
  ['brcm,iproc-flexrm-mbox', resetBcmFlexrm],
]);
