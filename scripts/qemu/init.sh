#!/bin/busybox sh
# The first program of the guest of scripts/test-qemu.mjs. It says what it finds, a line for each: `vsim: NAME: ok`, or what is wrong. `vsim! WORD` asks who
# runs QEMU to do something, `vsim= WORDS` is for people.
# The first boot makes a filesystem and ends in a reboot, the second finds it again.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec > /dev/console 2>&1

say() { # say NAME WHAT WANTED
  if [ "$2" = "$3" ]; then echo "vsim: $1: ok"; else echo "vsim: $1: '$2', not '$3'"; fi
}

for module in $(cat /modules/order); do insmod "/modules/$module" || echo "vsim: no module $module"; done
tries=0
while [ ! -b /dev/nvme0n1 ] && [ $tries -lt 50 ]; do sleep 0.2; tries=$((tries + 1)); done

if mount -t ext4 /dev/nvme0n1 /mnt 2>/dev/null && [ -f /mnt/sum ]; then
  say 'after a reboot' "$(md5sum < /mnt/data)" "$(cat /mnt/sum)"
  umount /mnt
  poweroff -f
fi

say 'nvme model' "$(cat /sys/class/nvme/nvme0/model | sed 's/ *$//')" "$(sed -n 's/.*vsim.model=\([^ ]*\).*/\1/p' /proc/cmdline | tr _ ' ')"
mke2fs /dev/nvme0n1 > /dev/null
mount -t ext4 /dev/nvme0n1 /mnt
dd if=/dev/urandom of=/random bs=1M count=16 2> /dev/null
sum="$(md5sum < /random)"
cp /random /mnt/data
echo "$sum" > /mnt/sum
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 /dev/nvme0n1 /mnt
say '16 MiB' "$(md5sum < /mnt/data)" "$sum"
say 'message-signalled interrupts' "$(grep -c 'MSIX.*nvme0q' /proc/interrupts)" 2
umount /mnt
random-reads /dev/nvme0n1 $((16 << 20)) 2
echo 3 > /proc/sys/vm/drop_caches
echo 1 > /sys/class/nvme/nvme0/reset_controller
mount -t ext4 /dev/nvme0n1 /mnt
say 'after a reset' "$(md5sum < /mnt/data)" "$sum"
umount /mnt

# A device file (examples/served-device), which is changed meanwhile. It works on memory that the kernel leaves alone (memmap= of the command line).
capitals=/sys/bus/pci/devices/$(basename $(dirname $(grep -l 0xca95 /sys/bus/pci/devices/*/device)))
printf '\006\000' | dd of=$capitals/config bs=1 seek=4 count=2 conv=notrunc 2> /dev/null
text=0x0e000000
file=$(sed -n '1s/ .*//p' $capitals/resource)
in_capitals() {
  devmem $text 32 0x64636261
  devmem $((file + 4)) 32 $text
  devmem $((file + 8)) 32 4
  devmem $((file + 12)) 32 1
  devmem $text
}
say 'capitals' "$(in_capitals)" 0x44434241
echo 'vsim! edit'
tries=1
until [ "$(in_capitals)" = 0xE4E3E2E1 ] || [ $tries -ge 150 ]; do sleep 0.2; tries=$((tries + 1)); done
say 'capitals with new code' "$(in_capitals)" 0xE4E3E2E1
say 'capitals counts on' "$(devmem $((file + 16)))" "$(printf '0x%08X' $((tries + 2)))"

# edu: its registers; its MSI and 4 KiB of DMA each way by a driver in user space, over this kernel's VFIO and vIOMMU.
find_edu() {
  edu=''
  for device in /sys/bus/pci/devices/*; do [ "$(cat $device/device 2> /dev/null)" = 0x11e8 ] && edu=$device; done
  [ -n "$edu" ]
}
wait_for() { # wait_for COMMAND...: half a minute at most
  tries=0
  until "$@" || [ $tries -ge 150 ]; do sleep 0.2; tries=$((tries + 1)); done
}
identification() {
  echo 1 > $edu/enable
  bar=$(sed -n '1s/ .*//p' $edu/resource)
  devmem $bar 32
}
gone() { ! find_edu; }

find_edu
say 'edu identification' "$(identification)" 0x010000ED
bar=$(sed -n '1s/ .*//p' $edu/resource)
devmem $((bar + 4)) 32 0x12345678
say 'edu liveness' "$(devmem $((bar + 4)) 32)" 0xEDCBA987
echo 0 > $edu/enable
echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
echo vfio-pci > $edu/driver_override
basename $edu > /sys/bus/pci/drivers_probe
edu $(basename $(readlink $edu/iommu_group)) $(basename $edu)

echo 'vsim! unplug'
wait_for gone
say 'edu unplugged' "$edu" ''
echo 'vsim! plug'
wait_for find_edu
say 'edu plugged again' "$(identification)" 0x010000ED
bar=$(sed -n '1s/ .*//p' $edu/resource)
# Nothing is asked for while the server dies: QEMU 11.1.3 aborts where its connection is reset with a request in it.
echo 'vsim! kill'
sleep 2
say 'edu without its server' "$(devmem $bar 32)" 0xFFFFFFFF
echo 'vsim! unplug'
wait_for gone
echo 'vsim! plug'
wait_for find_edu
say 'edu with a new server' "$(identification)" 0x010000ED
reboot -f
