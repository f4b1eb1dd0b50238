/* Random reads of 4 KiB, one at a time, past the page cache: `random-reads DISK BYTES SECONDS` says how many a second there were. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096 };

int main(int count, char **words)
{
	void *memory;
	int disk = count == 4 ? open(words[1], O_RDONLY | O_DIRECT) : -1;
	if (disk < 0 || posix_memalign(&memory, BLOCK, BLOCK) != 0)
		return 1;
	long blocks = atol(words[2]) / BLOCK, seconds = atol(words[3]), reads = 0;
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		if (pread(disk, memory, BLOCK, random() % blocks * BLOCK) != BLOCK)
			return 1;
		reads++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
	printf("vsim= %ld random reads of 4 KiB a second in the guest\n", reads / seconds);
	return 0;
}
