/** Vendor and device id as text: `8086:10d3`, as `lspci -n` has them. @param vendor 16 bits @param device 16 bits */
export function idText(vendor: number, device: number): string {
  const hex = (id: number): string => id.toString(16).padStart(4, '0');
  return `${hex(vendor)}:${hex(device)}`;
}
