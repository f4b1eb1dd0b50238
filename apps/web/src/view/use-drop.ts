/** Dropping a file, or a text, anywhere on the page. */
import { useEffect, useState } from 'preact/hooks';

/** Whether something is held over the page. */
export function useDrop(onFile: (file: File) => void, onText: (text: string) => void): boolean {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      // A text that is dragged into the text box belongs there.
      if (event.target instanceof HTMLTextAreaElement && event.dataTransfer?.types.includes('Files') !== true) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      setOver(false);
      const [file] = event.dataTransfer?.files ?? [];
      const text = event.dataTransfer?.getData('text/plain') ?? '';
      if (file === undefined && (text === '' || event.target instanceof HTMLTextAreaElement)) return;
      event.preventDefault();
      if (file !== undefined) onFile(file);
      else onText(text);
    };
    window.addEventListener('dragover', over);
    window.addEventListener('dragleave', leave);
    window.addEventListener('drop', drop);
    return () => {
      window.removeEventListener('dragover', over);
      window.removeEventListener('dragleave', leave);
      window.removeEventListener('drop', drop);
    };
  });
  return isOver;
}
