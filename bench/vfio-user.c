/* The floor of `bench vfio-user`, and the client of both servers.
 *
 *   serve PATH          answers VERSION, and REGION_READ of 4 bytes, with a device of one register
 *   ping PATH ROUNDS    reads 4 bytes of region 0 that often, and prints ns: the median, the 99th percentile, and the whole
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 16, VERSION = 1, REGION_READ = 9, READ = 32, ANSWER = 36, WARM = 5000 };

struct header {
  uint16_t id, command;
  uint32_t size, flags, error;
};

static const char TEXT[] = "{\"capabilities\":{}}";

static int named(const char *path, struct sockaddr_un *to) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  strncpy(to->sun_path, path, sizeof to->sun_path - 1);
  return fd;
}

static int whole(int fd, char *into, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t took = recv(fd, into + done, size - done, 0);
    if (took <= 0) return 0;
    done += (size_t)took;
  }
  return 1;
}

static int serve(const char *path) {
  struct sockaddr_un at;
  int door = named(path, &at);
  if (bind(door, (struct sockaddr *)&at, sizeof at) != 0 || listen(door, 1) != 0) return 1;
  puts("listening");
  fflush(stdout);
  for (int fd; (fd = accept(door, NULL, NULL)) >= 0; close(fd)) {
    char message[1 << 16];
    struct header head;
    for (ssize_t took; (took = recv(fd, message, sizeof message, 0)) >= HEADER;) {
      size_t size = (size_t)took;
      memcpy(&head, message, sizeof head);
      if (head.command == REGION_READ) {
        uint32_t value = 0x010000ed;
        memcpy(message + READ, &value, sizeof value);
        size = ANSWER;
      }
      head.size = (uint32_t)size;
      head.flags = 1;
      memcpy(message, &head, sizeof head);
      if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size) break;
    }
  }
  return 0;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int less(const void *a, const void *b) {
  uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;
  return one < two ? -1 : one > two;
}

static int ping(const char *path, int rounds) {
  struct sockaddr_un to;
  int fd = named(path, &to);
  char message[1 << 16] = {0};
  struct header head = {.command = VERSION, .size = HEADER + 4 + sizeof TEXT};
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) return 1;
  memcpy(message, &head, sizeof head);
  memcpy(message + HEADER + 4, TEXT, sizeof TEXT);
  if (send(fd, message, head.size, 0) != (ssize_t)head.size || !whole(fd, message, HEADER)) return 2;
  memcpy(&head, message, sizeof head);
  if (head.size > sizeof message || head.error != 0 || !whole(fd, message, head.size - HEADER)) return 2;

  uint64_t *took = malloc(sizeof *took * (size_t)rounds);
  uint64_t start = 0;
  for (int i = -WARM; i < rounds; i += 1) {
    uint64_t before = now();
    if (i == 0) start = before;
    uint32_t count = 4;
    head = (struct header){.id = (uint16_t)i, .command = REGION_READ, .size = READ};
    memset(message, 0, READ);
    memcpy(message, &head, sizeof head);
    memcpy(message + HEADER + 12, &count, sizeof count);
    if (send(fd, message, READ, 0) != READ || !whole(fd, message, ANSWER)) return 3;
    memcpy(&head, message, sizeof head);
    if (head.id != (uint16_t)i || head.size != ANSWER || head.flags != 1 || memcmp(message + READ, "\xed\0\0\1", 4) != 0) return 4;
    if (i >= 0) took[i] = now() - before;
  }
  uint64_t all = now() - start;
  qsort(took, (size_t)rounds, sizeof *took, less);
  printf("%llu %llu %llu\n", (unsigned long long)took[rounds / 2], (unsigned long long)took[(long)rounds * 99 / 100], (unsigned long long)all);
  return 0;
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "serve") == 0) return serve(words[2]);
  if (count == 4 && strcmp(words[1], "ping") == 0 && atoi(words[3]) > 0) return ping(words[2], atoi(words[3]));
  return 64;
}
