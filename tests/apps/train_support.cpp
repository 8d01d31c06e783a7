#include "tests/apps/train_support.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <thread>

#include "engine/base/random.h"

extern char** environ;

namespace reprise::test {

void write_image(const std::string& path, int size, int label, std::uint64_t seed) {
  std::string bytes = "P6\n" + std::to_string(size) + " " + std::to_string(size) + "\n255\n";
  RandomStream stream(seed, "image/" + path.substr(path.rfind('/')));
  for (int i = 0; i < size * size; ++i)
    for (int c = 0; c < 3; ++c)
      bytes += static_cast<char>((c == label % 3 ? 100 : 20) + static_cast<int>(stream.below(100)));
  write_text(path, bytes);
}

void write_task(const std::string& dir, const std::string& task, int images) {
  for (int label = 0; label < 3; ++label) {
    const std::string folder = dir + "/" + task + "/class" + std::to_string(label);
    std::filesystem::create_directories(folder);
    for (int i = 0; i < images; ++i)
      write_image(folder + "/" + std::to_string(i) + ".ppm", 8, label, static_cast<std::uint64_t>(i));
  }
}

Running::Running(const std::vector<std::string>& arguments, const std::string& stderr_to, int ignored) {
  std::vector<std::string> words{CLR_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, (dir_ / "1").c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, (stderr_to.empty() ? dir_ / "2" : stderr_to).c_str(),
                                   O_WRONLY | O_CREAT, 0600);
  sigset_t defaults;
  sigfillset(&defaults);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const auto before = ignored == 0 ? SIG_ERR : ::signal(ignored, SIG_IGN);  // the program inherits it
  if (ignored != 0) sigdelset(&defaults, ignored);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  const int failed = posix_spawn(&pid_, CLR_BINARY, &actions, &attributes, argv.data(), environ);
  if (ignored != 0) ::signal(ignored, before);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("could not start " CLR_BINARY);
}

Running::~Running() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  wait();
}

void Running::send(int signal) const {
  kill(pid_, signal);
}

int Running::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::vector<nlohmann::json> process_records(const std::string& run) {
  std::map<std::string, nlohmann::json> records;
  for (const auto& entry : std::filesystem::directory_iterator(run + "/log"))
    if (entry.path().extension() == ".json")
      records[entry.path()] = nlohmann::json::parse(read_text(entry.path()));
  std::vector<nlohmann::json> all;
  for (auto& [name, record] : records) all.push_back(std::move(record));
  return all;
}

bool wait_for_lines(const std::string& path, int lines) {
  for (int tries = 0; tries < 30000; ++tries) {
    const std::string text = read_text(path);
    if (std::count(text.begin(), text.end(), '\n') >= lines) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

}  // namespace reprise::test
