// Makes one call of a program fail, or kills the program there. Loaded with LD_PRELOAD; variables:
//   FAIL_CALL   write, fsync, rename, link, open (for writing), flock, mkdir, unlink or malloc
//   FAIL_AT     the number of the call, counted from 1; 0: every call
//   FAIL_HOW    error: the call does nothing and fails; kill: SIGKILL before it, or after half of a write
//   FAIL_UNDER  counts only calls for files below this folder (not for malloc, which counts from main on)
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

// Nothing here may allocate: malloc is one of the calls.
std::atomic<long> calls{0};
std::atomic<bool> in_main{false};
int (*real_main)(int, char**, char**) = nullptr;

int entered_main(int argc, char** argv, char** environment) {
  in_main = true;
  return real_main(argc, argv, environment);
}

bool is_under(const char* path) {
  const char* folder = getenv("FAIL_UNDER");
  return folder == nullptr || strncmp(path, folder, strlen(folder)) == 0;
}

bool is_under(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return false;
  path[n] = 0;
  return is_under(path);
}

enum class Fate { goes_on, fails, dies };

Fate fate_of(const char* name) {
  const char* call = getenv("FAIL_CALL");
  const char* at = getenv("FAIL_AT");
  if (call == nullptr || at == nullptr || strcmp(call, name) != 0) return Fate::goes_on;
  if (atol(at) != 0 && ++calls != atol(at)) return Fate::goes_on;
  const char* how = getenv("FAIL_HOW");
  return how != nullptr && strcmp(how, "kill") == 0 ? Fate::dies : Fate::fails;
}

template <class F>
F* real(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

// Returns whether this call must fail, after setting errno to `error`.
// Kills the program if it must die.
bool fails(const char* name, int error) {
  const Fate fate = fate_of(name);
  if (fate == Fate::dies) kill(getpid(), SIGKILL);
  errno = fate == Fate::fails ? error : errno;
  return fate == Fate::fails;
}

}  // namespace

extern "C" {

int __libc_start_main(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(), void (*)(), void*);

ssize_t write(int fd, const void* bytes, size_t n) {
  static const auto call = real<ssize_t(int, const void*, size_t)>("write");
  const Fate fate = is_under(fd) ? fate_of("write") : Fate::goes_on;
  if (fate == Fate::goes_on) return call(fd, bytes, n);
  if (fate == Fate::dies) {
    call(fd, bytes, n / 2);
    kill(getpid(), SIGKILL);
  }
  errno = ENOSPC;
  return -1;
}

int fsync(int fd) {
  static const auto call = real<int(int)>("fsync");
  return is_under(fd) && fails("fsync", EIO) ? -1 : call(fd);
}

int rename(const char* from, const char* to) {
  static const auto call = real<int(const char*, const char*)>("rename");
  return is_under(to) && fails("rename", EIO) ? -1 : call(from, to);
}

int link(const char* from, const char* to) {
  static const auto call = real<int(const char*, const char*)>("link");
  return is_under(to) && fails("link", EPERM) ? -1 : call(from, to);
}

int unlink(const char* path) {
  static const auto call = real<int(const char*)>("unlink");
  return is_under(path) && fails("unlink", EIO) ? -1 : call(path);
}

int mkdir(const char* path, mode_t mode) {
  static const auto call = real<int(const char*, mode_t)>("mkdir");
  return is_under(path) && fails("mkdir", ENOSPC) ? -1 : call(path, mode);
}

int flock(int fd, int operation) {
  static const auto call = real<int(int, int)>("flock");
  return is_under(fd) && fails("flock", ENOLCK) ? -1 : call(fd, operation);
}

int open(const char* path, int flags, ...) {
  static const auto call = real<int(const char*, int, ...)>("open");
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  return writes && is_under(path) && fails("open", ENOSPC) ? -1 : call(path, flags, mode);
}

void* malloc(size_t n) {
  static void* (*call)(size_t) = nullptr;
  if (call == nullptr) call = real<void*(size_t)>("malloc");
  return in_main && fails("malloc", ENOMEM) ? nullptr : call(n);
}

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*end)(), void* stack) {
  real_main = main;
  return real<decltype(__libc_start_main)>("__libc_start_main")(entered_main, argc, argv, init, fini, end,
                                                                stack);
}
}
