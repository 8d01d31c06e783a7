#include "apps/clr/audit/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "apps/clr/commands/signals.h"
#include "engine/base/check.h"

extern char** environ;

namespace reprise::clr {
namespace {

std::vector<std::string> environment_with(const Environment& changed) {
  std::vector<std::string> variables;
  for (char** e = environ; *e != nullptr; ++e) {
    bool replaced = false;
    for (const auto& [name, value] : changed) replaced |= std::string(*e).starts_with(name + "=");
    if (!replaced) variables.emplace_back(*e);
  }
  for (const auto& [name, value] : changed) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& w : words) list.push_back(w.data());
  list.push_back(nullptr);
  return list;
}

std::string read_to_end(int descriptor, pid_t child) {
  std::string text;
  char buffer[4096];
  // A signal interrupts poll even with SA_RESTART; then the child gets the signal, too.
  for (;;) {
    pollfd ready{descriptor, POLLIN, 0};
    if (poll(&ready, 1, -1) < 0 && errno == EINTR) {
      if (pending_signal() != 0) kill(child, pending_signal());
      continue;
    }
    const ssize_t got = read(descriptor, buffer, sizeof buffer);
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string run_self(const std::vector<std::string>& arguments, const Environment& changed) {
  std::vector<std::string> words{"clr"}, variables = environment_with(changed);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv = pointers(words), envp = pointers(variables);
  int ends[2];
  REPRISE_CHECK(pipe2(ends, O_CLOEXEC) == 0, "a pipe: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  const std::string text = failed == 0 ? read_to_end(ends[0], child) : "";
  close(ends[0]);
  REPRISE_CHECK(failed == 0, "this program could not be started again: {}", std::strerror(failed));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  stop_if_requested();
  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  REPRISE_CHECK(code == 0, "`clr {}` ended with {}", fmt::join(arguments, " "), code);
  return text;
}

}  // namespace reprise::clr
