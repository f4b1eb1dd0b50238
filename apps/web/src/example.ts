/** A machine to try the page with: five functions, of which two are one device. */
export const EXAMPLE = `0000:00:00.0 Host bridge [0600]: Intel Corporation 440FX - 82441FX PMC [Natoma] [8086:1237] (rev 02)
	Flags: fast devsel

0000:00:02.0 Ethernet controller [0200]: Intel Corporation 82540EM Gigabit Ethernet Controller [8086:100e] (rev 03)
	Flags: bus master, fast devsel, latency 0, IRQ 11
	Kernel driver in use: e1000

0000:00:03.0 VGA compatible controller [0300]: NVIDIA Corporation GP107 [GeForce GTX 1050 Ti] [10de:1c82] (rev a1)
	Flags: fast devsel, IRQ 10
	Kernel driver in use: nouveau

0000:00:03.1 Audio device [0403]: NVIDIA Corporation GP107GL High Definition Audio Controller [10de:0fb9] (rev a1)
	Flags: fast devsel, IRQ 10
	Kernel driver in use: snd_hda_intel

0000:00:05.0 USB controller [0c03]: NEC Corporation uPD720200 USB 3.0 Host Controller [1033:0194] (rev 03)
	Flags: bus master, fast devsel, latency 0, IRQ 10
	Kernel driver in use: xhci_hcd
`;
