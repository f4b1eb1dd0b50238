/** Each byte on the wire is a level interrupt of the guest, also of one that is saved and goes on in another VM. */
import { board } from './board.ts';
import { PassedDevice, Vmm } from './vmm.ts';

const { host, uart, user } = board();
const device = new PassedDevice(user);
function receive(text: string): void {
  for (const byte of new TextEncoder().encode(text)) uart.receive(byte);
  host.scheduler.settle();
}
const told = (vmm: Vmm, bytes: number): string => JSON.stringify(String.fromCharCode(...vmm.log(bytes)));

const vmm = new Vmm(device);
vmm.irqfd();
device.unmaskByResample();
device.trigger();
receive('h'); // before there is a guest: the line stays up
const vcpu = user.start('vcpu', vmm.run());
receive('i');
console.log('the guest has', told(vmm, 2), 'and its vCPU is', vcpu.outcome.state);
vcpu.signal();
const saved = vmm.save();
vmm.close();

receive('.'); // while there is no VM
const restored = new Vmm(device);
restored.restore(saved);
restored.irqfd();
device.unmask();
const again = user.start('vcpu', restored.run());
receive('!');
again.signal();
console.log('in the other VM it has', told(restored, 4));
