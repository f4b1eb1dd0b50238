/** vmm.ts: bytes on the wire become interrupts of the guest, also of one that is saved and goes on in another VM. */
import { expect, it } from 'vitest';
import { board, X } from './board.ts';
import { PassedDevice, Vmm } from './vmm.ts';

it('each byte is an interrupt of the guest, which is saved and goes on in another VM', () => {
  const { host, uart, user } = board();
  const device = new PassedDevice(user);
  const receive = (byte: number): void => {
    uart.receive(byte);
    host.scheduler.settle();
  };
  const vmm = new Vmm(device);
  vmm.irqfd();
  device.unmaskByResample();
  device.trigger();
  receive(0x68); // before there is a guest
  const vcpu = user.start('vcpu', vmm.run());
  receive(0x69);
  expect([vmm.log(2), vcpu.outcome.state]).toEqual([[0x68, 0x69], 'asleep']);
  vcpu.signal();
  const saved = vmm.save();
  vmm.close();

  receive(0x2e); // while there is no VM
  const restored = new Vmm(device);
  restored.restore(saved);
  restored.irqfd();
  device.unmask();
  const again = user.start('vcpu', restored.run());
  receive(0x21);
  again.signal();
  expect(restored.log(4)).toEqual([0x68, 0x69, 0x2e, 0x21]);
  expect([X.SERVED, X.IDLE].map((x) => restored.register(x))).toEqual([4, 0]);
});
