#!/bin/busybox sh
# The first program of the guest of scripts/test-qemu.mjs. It says what it finds, a line for each: `vsim: NAME: ok`, or what is wrong.
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
echo 3 > /proc/sys/vm/drop_caches
echo 1 > /sys/class/nvme/nvme0/reset_controller
mount -t ext4 /dev/nvme0n1 /mnt
say 'after a reset' "$(md5sum < /mnt/data)" "$sum"
umount /mnt

# edu: its registers, and 4 KiB of DMA each way, into memory that the kernel leaves alone (memmap= of the command line).
edu=/sys/bus/pci/devices/$(for device in /sys/bus/pci/devices/*; do [ "$(cat $device/device)" = 0x11e8 ] && basename $device; done)
echo 1 > $edu/enable
bar=$(sed -n '1s/ .*//p' $edu/resource)
at() { printf '0x%x' $((bar + $1)); }
say 'edu identification' "$(devmem $(at 0x00) 32)" 0x010000ED
devmem $(at 0x04) 32 0x12345678
say 'edu liveness' "$(devmem $(at 0x04) 32)" 0xEDCBA987
printf '\006\000' | dd of=$edu/config bs=1 seek=4 count=2 conv=notrunc 2> /dev/null # memory and bus master
page=0x0e000000
dd if=/random of=/dev/mem bs=4096 seek=$((page / 4096)) count=1 conv=notrunc 2> /dev/null
transfer() { # transfer SOURCE DESTINATION COMMAND
  devmem $(at 0x80) 32 $1
  devmem $(at 0x88) 32 $2
  devmem $(at 0x90) 32 4096
  devmem $(at 0x98) 32 $3
}
transfer $page 0x40000 1
transfer 0x40000 $((page + 4096)) 3
say 'edu dma' "$(dd if=/dev/mem bs=4096 skip=$((page / 4096 + 1)) count=1 2> /dev/null | md5sum)" "$(head -c 4096 /random | md5sum)"
reboot -f
