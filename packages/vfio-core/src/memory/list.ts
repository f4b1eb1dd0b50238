/** Takes the first `item` out of a list. @returns whether it was there; a list without it stays as it is */
export function removeItem<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at < 0) return false;
  list.splice(at, 1);
  return true;
}
