/*
 * A driver of edu in the guest's user space, over the guest's own VFIO and vIOMMU: `edu GROUP ADDRESS`. It says what it finds, a line for each:
 * `vsim: NAME: ok`, or what is wrong. The registers are those of QEMU's docs/specs/edu.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FACTORIAL = 0x08, STATUS = 0x20, INTERRUPT_STATUS = 0x24, INTERRUPT_ACKNOWLEDGE = 0x64, DMA_SOURCE = 0x80, DMA_DESTINATION = 0x88, DMA_COUNT = 0x90, DMA_COMMAND = 0x98 };
enum { WANT_INTERRUPT = 0x80, RUN = 1, TO_RAM = 2, WITH_INTERRUPT = 4, BUFFER = 0x40000, PAGE = 4096, IOVA = 0x100000, WAIT_MS = 5000 };

static int device;
static uint64_t registers;

static void say(const char *name, int good, const char *what)
{
	printf("vsim: %s: %s\n", name, good ? "ok" : what);
}

static int must(int result, const char *what)
{
	if (result < 0) {
		printf("vsim: edu over vfio: %s: %s\n", what, strerror(errno));
		exit(1);
	}
	return result;
}

static uint32_t get(uint32_t at)
{
	uint32_t value = 0;
	must(pread(device, &value, sizeof(value), registers + at), "read");
	return value;
}

static void put(uint32_t at, uint32_t value)
{
	must(pwrite(device, &value, sizeof(value), registers + at), "write");
}

/* Whether an interrupt comes for this reason. It is acknowledged. */
static int interrupted(int eventfd, uint32_t reason)
{
	struct pollfd waiting = { .fd = eventfd, .events = POLLIN };
	uint64_t count = 0;
	if (poll(&waiting, 1, WAIT_MS) != 1 || read(eventfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	uint32_t status = get(INTERRUPT_STATUS);
	put(INTERRUPT_ACKNOWLEDGE, status);
	return count == 1 && status == reason;
}

static int transferred(int eventfd, uint32_t source, uint32_t destination, uint32_t direction)
{
	put(DMA_SOURCE, source);
	put(DMA_DESTINATION, destination);
	put(DMA_COUNT, PAGE);
	put(DMA_COMMAND, RUN | direction | WITH_INTERRUPT);
	return interrupted(eventfd, 0x100);
}

static void open_device(const char *group_name, const char *address)
{
	char path[64];
	int container = must(open("/dev/vfio/vfio", O_RDWR), "container");
	snprintf(path, sizeof(path), "/dev/vfio/%s", group_name);
	int group = must(open(path, O_RDWR), path);
	must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "VFIO_GROUP_SET_CONTAINER");
	must(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
	device = must(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address), "VFIO_GROUP_GET_DEVICE_FD");
	struct vfio_region_info region = { .argsz = sizeof(region), .index = VFIO_PCI_BAR0_REGION_INDEX };
	must(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region), "VFIO_DEVICE_GET_REGION_INFO");
	registers = region.offset;

	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	must(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config), "VFIO_DEVICE_GET_REGION_INFO");
	uint16_t command = 6; /* memory and bus master */
	must(pwrite(device, &command, sizeof(command), config.offset + 4), "Command");

	unsigned char *memory = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, .vaddr = (uintptr_t)memory, .iova = IOVA, .size = 2 * PAGE };
	for (int i = 0; i < PAGE; i++)
		memory[i] = (unsigned char)(i * 7 + (i >> 8));
	must(ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "VFIO_IOMMU_MAP_DMA");

	int interrupt = must(eventfd(0, 0), "eventfd");
	char argument[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set set = { .argsz = sizeof(argument), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1 };
	memcpy(argument, &set, sizeof(set));
	memcpy(argument + sizeof(set), &interrupt, sizeof(interrupt));
	must(ioctl(device, VFIO_DEVICE_SET_IRQS, argument), "VFIO_DEVICE_SET_IRQS");

	put(STATUS, WANT_INTERRUPT);
	put(FACTORIAL, 10);
	say("edu msi", interrupted(interrupt, 1), "no interrupt came");
	say("edu factorial", get(FACTORIAL) == 3628800, "10! is another number");
	int there = transferred(interrupt, IOVA, BUFFER, 0);
	int back = transferred(interrupt, BUFFER, IOVA + PAGE, TO_RAM);
	say("edu dma", there && back && memcmp(memory, memory + PAGE, PAGE) == 0, "the bytes that came back are others");
}

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	open_device(words[1], words[2]);
	return 0;
}
