/** What may be taken for true, as switches and lists; made of the rows of what-ifs.ts. */
import type { JSX } from 'preact';
import { WHAT_IFS, type Chosen, type WhatIf } from '../what-ifs.ts';

interface WhatIfPanelProps {
  readonly chosen: Chosen;
  readonly onChoose: (chosen: Chosen) => void;
}

export function WhatIfPanel({ chosen, onChoose }: WhatIfPanelProps): JSX.Element {
  return (
    <fieldset class="what-ifs">
      <legend>What if</legend>
      {WHAT_IFS.map((whatIf) => (
        <OneWhatIf key={whatIf.id} whatIf={whatIf} value={chosen[whatIf.id] ?? ''} onChoose={(value) => onChoose({ ...chosen, [whatIf.id]: value })} />
      ))}
    </fieldset>
  );
}

interface OneWhatIfProps {
  readonly whatIf: WhatIf;
  readonly value: string;
  readonly onChoose: (value: string) => void;
}

function OneWhatIf({ whatIf: { id, label, choices }, value, onChoose }: OneWhatIfProps): JSX.Element {
  const [off, on] = choices;
  if (choices.length === 2 && off !== undefined && on !== undefined) {
    return (
      <label class="switch">
        <input type="checkbox" role="switch" checked={value === on.value} onChange={({ currentTarget }) => onChoose(currentTarget.checked ? on.value : off.value)} />
        <span>{label}</span>
      </label>
    );
  }
  return (
    <div class="choice">
      <label for={`what-if-${id}`}>{label}</label>
      <select id={`what-if-${id}`} value={value} onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </div>
  );
}
