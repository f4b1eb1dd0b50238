/** Commands of the Management Complex as lines to read. */
import { expect, it } from 'vitest';
import { Host } from '@vsim/vfio-core';
import { describeCommand, ManagementComplex } from '../src/index.ts';
import { McUser } from './mc-user.ts';

it('a command is told with portal, object, name, version and answer', () => {
  const mc = new ManagementComplex(new Host(), { release: '10.36.0' });
  const said: string[] = [];
  mc.watch({
    submitted: ({ command }) => (command === 0x006 ? { hangs: true } : command === 0x003 ? { status: 13 } : undefined),
    answered: (submission, answer) => { said.push(describeCommand(submission, answer)); },
  });
  const user = new McUser(mc);
  const root = user.open('dprc', 1);
  user.createContainer(root);
  user.create(root, 'dpni');
  const dpni = user.open('dpni', 0);
  user.ask(0x006, 1, dpni);
  user.ask(0x003, 1, dpni);
  user.ask(0x832, 1, 0);
  user.ask(0xa01, 1, 0);
  user.ask(0x004, 9, dpni);
  user.ask(0x7ff, 1, 0xbeef);
  user.open('dpbp', 7);
  user.destroy(root, 'dpni', 0);
  expect(said).toEqual([
    'dprc.1 portal 0: dprc.open v1 dprc.1 -> ok, token 0x1',
    'dprc.1 portal 0: dprc.1 dprc.create_cont v2 -> ok',
    'dprc.1 portal 0: dprc.1 dpni.create v7 -> ok',
    'dprc.1 portal 0: dpni.open v1 dpni.0 -> ok, token 0x2',
    'dprc.1 portal 0: dpni.0 dpni.is_enabled v1 -> not answered',
    'dprc.1 portal 0: dpni.0 dpni.disable v1 -> status 13',
    'dprc.1 portal 0: dpmng.get_soc_version v1 -> ok',
    'dprc.1 portal 0: dpni.get_api_version v1 -> ok',
    'dprc.1 portal 0: dpni.0 dpni.get_attr v9 -> unsupported',
    'dprc.1 portal 0: 0x7ff v1 -> authentication error',
    'dprc.1 portal 0: dpbp.open v1 dpbp.7 -> configuration error',
    'dprc.1 portal 0: dprc.1 dpni.destroy v1 -> ok',
  ]);
});
