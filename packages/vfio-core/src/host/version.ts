/** The version of the packages, as package.json has it. Written by scripts/manifests.mjs. */
export const VERSION = '0.1.0';
