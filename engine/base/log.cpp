#include "engine/base/log.h"

#include <cstdio>
#include <string>

#include "engine/base/utf8.h"

namespace reprise {

void log_line(std::string_view text) {
  const std::string line = escaped(text, keep_lines) + "\n";  // one write: threads' lines do not mix
  std::fwrite(line.data(), 1, line.size(), stderr);
}
void log_warning(std::string_view text) {
  log_line("warning: " + std::string(text));
}

}  // namespace reprise
