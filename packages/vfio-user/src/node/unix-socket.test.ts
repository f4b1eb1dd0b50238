import { existsSync, mkdtempSync, statSync, writeFileSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeCommand } from '../wire/encode.ts';
import { SocketChannel } from './socket-channel.ts';
import { connectTo, ListeningSocket } from './unix-socket.ts';

const folder = mkdtempSync(join(tmpdir(), 'vsim-vfio-user-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a socket that waits for clients', () => {
  it('takes one after another, is for its owner alone, and takes its path away', () => {
    const path = join(folder, 'one');
    const listening = new ListeningSocket(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (let n = 0; n < 3; n += 1) {
      const client = new SocketChannel(connectTo(path));
      const server = new SocketChannel(listening.accept()!);
      const message = encodeCommand(n, { name: 'DEVICE_RESET' });
      client.send(message);
      expect(server.receive()?.bytes).toEqual(message);
      for (const channel of [client, server]) channel.close();
    }
    listening.close();
    expect(existsSync(path)).toBe(false);
  });

  it('takes over the path of a server that has died', () => {
    const path = join(folder, 'stale');
    const dead = new ListeningSocket(path);
    dead.shutdown();
    const next = new ListeningSocket(path);
    const client = connectTo(path);
    expect(client).toBeGreaterThan(0);
    new SocketChannel(client).close();
    next.close();
  });

  it('is one that was passed, whose path stays', () => {
    const path = join(folder, 'passed');
    const made = new ListeningSocket(path);
    const passed = new ListeningSocket(made.fd);
    const client = new SocketChannel(connectTo(path));
    const server = new SocketChannel(passed.accept()!);
    expect([passed.path, server.fd > 0]).toEqual([undefined, true]);
    for (const channel of [client, server]) channel.close();
    passed.close();
    expect([passed.fd, existsSync(path)]).toEqual([-1, true]);
    rmSync(path);
  });

  it.each([-1, 0x7fff_ffff, Number.NaN])('is not made of the number %d', (at) => {
    expect(() => new ListeningSocket(at)).toThrow(`"at" expected the number of a socket, got ${at}`);
  });

  it('leaves a path alone at which another listens, or a file is', () => {
    const path = join(folder, 'busy');
    const first = new ListeningSocket(path);
    expect(() => new ListeningSocket(path)).toThrow(`bind ${path}: EADDRINUSE`);
    new SocketChannel(connectTo(path)).close();
    first.close();
    const file = join(folder, 'file');
    writeFileSync(file, 'mine');
    expect(() => new ListeningSocket(file)).toThrow(`bind ${file}: EADDRINUSE`);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  it('ends an accept() that would wait', () => {
    const listening = new ListeningSocket(join(folder, 'ended'));
    listening.shutdown();
    expect(listening.accept()).toBeUndefined();
    listening.close();
  });

  it('refuses a path that is none', () => {
    expect(() => new ListeningSocket('')).toThrow(RangeError);
    expect(() => new ListeningSocket(join(folder, 'x'.repeat(200)))).toThrow('1 to 107 bytes');
    expect(() => connectTo(join(folder, 'nowhere'))).toThrow('nowhere: ENOENT');
  });
});
