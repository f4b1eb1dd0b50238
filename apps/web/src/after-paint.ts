/** What takes long begins when the page shows that it does. */

/** Resolves once what was rendered has been painted; in a page that is not shown soon. */
export function afterPaint(): Promise<void> {
  return new Promise((resolve) => {
    const soon = setTimeout(resolve, 100);
    requestAnimationFrame(() => {
      clearTimeout(soon);
      setTimeout(resolve, 0);
    });
  });
}
