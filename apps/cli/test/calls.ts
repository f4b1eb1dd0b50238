/** Runs calls of the command in a process of its own, as whoever has started it: `calls.ts JSON` with a list of lists of arguments. */
import { called } from './called.ts';

const [, , calls = '[]'] = process.argv;
const lists: unknown = JSON.parse(calls);
if (!Array.isArray(lists)) throw new TypeError('"calls" expected a list of lists of arguments');
process.stdout.write(JSON.stringify(lists.map((args) => called(Array.isArray(args) ? args.map(String) : []))));
