#include "tests/apps/support.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "data/weights/weight_file.h"
#include "engine/base/random.h"
#include "layers/file_layout.h"
#include "layers/network.h"

extern char** environ;

namespace reprise::test {

namespace fs = std::filesystem;

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "reprise-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}
TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Outcome clr(const std::vector<std::string>& arguments, const std::string& stdout_to) {
  const TempDir dir;
  const std::string out = stdout_to.empty() ? dir / "out" : stdout_to, err = dir / "err";
  std::vector<std::string> words{CLR_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, CLR_BINARY, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("could not start " CLR_BINARY);
  int status = 0;
  waitpid(pid, &status, 0);
  const Outcome o{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                  stdout_to.empty() ? read_text(out) : "", read_text(err)};
  if (o.err.find('\033') != std::string::npos)
    throw std::runtime_error("a terminal's codes in a file: " + o.err);
  return o;
}

std::vector<data::NamedTensor> tiny_backbone(std::uint64_t seed, int classes) {
  const auto network = layers::make_network("resnet20", classes);
  network->initialize(seed);
  std::vector<data::NamedTensor> tensors;
  for (const layers::Entry& e : network->named_tensors()) {
    Tensor t = e.tensor->clone();
    if (e.is_buffer) {
      RandomStream stream(seed, "statistics/" + e.name);
      for (std::int64_t i = 0; i < t.numel(); ++i)
        t.mutable_data<float>()[i] = static_cast<float>(
            e.name.ends_with("running_var") ? stream.uniform(0.5, 1.5) : stream.uniform(-0.2, 0.2));
    }
    tensors.push_back({e.name, layers::to_file_layout(t, e.layout).clone()});
  }
  return tensors;
}

std::string write_tiny_backbone(const std::string& path, std::uint64_t seed, int classes) {
  data::write_safetensors(path, tiny_backbone(seed, classes));
  return path;
}

Tensor noise_images(std::int64_t count, int size, std::uint64_t seed) {
  Tensor images = empty({count, size, size, 3}, DType::u8);
  RandomStream stream(seed, "noise images");
  std::uint8_t* p = images.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < images.numel(); ++i) p[i] = static_cast<std::uint8_t>(stream.below(256));
  return images;
}

Tensor labels_in_turn(std::int64_t count, int classes) {
  Tensor labels = empty({count}, DType::i64);
  for (std::int64_t i = 0; i < count; ++i) labels.mutable_data<std::int64_t>()[i] = i % classes;
  return labels;
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
bool exists(const std::string& path) {
  return fs::exists(path);
}

double relative_difference(const Tensor& got, const Tensor& expected) {
  if (got.shape() != expected.shape()) return std::numeric_limits<double>::infinity();
  const Tensor a = got.to(DType::f64), b = expected.to(DType::f64);
  double largest = 0, difference = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(y));
    difference = std::max(difference, std::abs(x - y));
  }
  return difference / largest;
}

std::string real_input(const std::string& name) {
  const std::string path = std::string(REPRISE_SOURCE_DIR) + "/../shared/real/" + name;
  return exists(path) ? path : "";
}

}  // namespace reprise::test
