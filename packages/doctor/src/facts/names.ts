/** Whether a name is a virtual function's, as makers of network cards call theirs. */
export function isVirtualFunctionName(name: string): boolean {
  return /\bVirtual Function\b/i.test(name);
}
