#include "data/sets/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "data/image/image.h"
#include "engine/base/error.h"

namespace reprise::data {
namespace {

constexpr std::size_t head_bytes = 1024;  // as much as detect_format looks at

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::string why_no_image(const std::string& path) {
  // Opens without waiting: a pipe among the images must not hang the program.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return reason_of(errno);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return reason_of(errno);
  if (!S_ISREG(info.st_mode)) return "not a regular file";
  std::array<std::byte, head_bytes> head{};
  std::size_t done = 0;
  while (done < head.size()) {
    const ssize_t got = ::read(file.fd, head.data() + done, head.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return reason_of(errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return why_no_image(std::span<const std::byte>(head.data(), done));
}

std::string why_no_image(std::span<const std::byte> head) {
  if (detect_format(head) <= ImageFormat::pnm) return {};
  try {
    decode_image(head);  // refuses every other format by its name
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

}  // namespace reprise::data
