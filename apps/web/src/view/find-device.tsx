/** Asking for one device by what a person knows of it. */
import { devicesFor, verdictWords } from '@vsim/doctor';
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Examined } from '../examined.ts';
import { Folded } from './folded.tsx';
import { Mark } from './marks.tsx';

const SHOWN = 12;

interface FindDeviceProps {
  readonly examined: Examined;
  readonly onDevice: (address: string) => void;
}

export function FindDevice({ examined: { report, short }, onDevice }: FindDeviceProps): JSX.Element {
  const [query, setQuery] = useState('');
  const found = devicesFor(report, query);
  const asked = query.trim() !== '';
  return (
    <form
      class="find"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const [first] = found;
        if (first !== undefined) onDevice(first.address);
      }}
    >
      <label for="find">One device</label>
      <input id="find" type="search" autocomplete="off" spellcheck={false} placeholder="01:00.0, 10de:1c82, gpu, part of a name" value={query} onInput={({ currentTarget }) => setQuery(currentTarget.value)} />
      <button type="submit">Answer</button>
      <p class="hint" role="status">
        {!asked ? '' : found.length === 0 ? 'No device here is called so.' : found.length === 1 ? '1 device' : `${found.length} devices`}
      </p>
      {asked && found.length > 0 ? (
        <ul class="found">
          <Folded
            items={found}
            shown={SHOWN}
            around={(button) => <li>{button}</li>}
            render={({ address, description }) => {
              const verdict = report.verdicts.find(({ device }) => device === address);
              return (
                <li key={address}>
                  <button type="button" class="address" aria-haspopup="dialog" aria-label={`${short(address)}: the whole answer`} onClick={() => onDevice(address)}>
                    {short(address)}
                  </button>{' '}
                  <span>{description}</span> {verdict === undefined ? null : <Mark kind={verdict.kind} words={verdictWords(verdict, short)} />}
                </li>
              );
            }}
          />
        </ul>
      ) : null}
    </form>
  );
}
