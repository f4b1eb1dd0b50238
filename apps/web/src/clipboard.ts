/** Copying. */

/** Whether it went through: a browser may refuse, and an old one has no way. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
