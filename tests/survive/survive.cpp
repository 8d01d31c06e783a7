#include "tests/survive/survive.h"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_folder.h"
#include "data/weights/weight_file.h"

namespace reprise::test {

namespace fs = std::filesystem;

void Survive::SetUp() {
  setenv("REPRISE_SAVE_SECONDS", "0", 1);
  write_tiny_backbone(dir / "backbone.safetensors");
  for (const std::string task : {"one", "two", "three"}) write_task(dir / "data", task, 4);
}

std::vector<std::string> Survive::train(const std::string& run) const {
  return {"train",     "--backbone", dir / "backbone.safetensors",
          "--data",    dir / "data", "--run",
          dir / run,   "--size",     "8",
          "--epochs",  "2",          "--batch",
          "4",         "--device",   "cpu",
          "--threads", "1"};
}

std::map<std::string, std::string> Survive::task_files(const std::string& run) const {
  std::map<std::string, std::string> files;
  if (!exists(dir / (run + "/tasks"))) return files;
  for (const auto& entry : fs::directory_iterator(dir / (run + "/tasks")))
    if (entry.path().extension() == ".safetensors") files[entry.path().filename()] = read_text(entry.path());
  return files;
}

const std::map<std::string, std::string>& Survive::whole() {
  if (whole_.empty()) {
    const Outcome o = clr(train("whole"));
    EXPECT_EQ(o.status, 0) << o.err;
    whole_ = task_files("whole");
    EXPECT_EQ(whole_.size(), 3u);
  }
  return whole_;
}

void Survive::expect_nothing_torn(const std::string& run, bool clean) {
  for (const auto& [name, bytes] : task_files(run)) EXPECT_TRUE(bytes == whole().at(name)) << name;
  if (!exists(dir / run)) return;
  if (exists(dir / (run + "/run.json"))) {
    EXPECT_NO_THROW(reprise::clr::RunFolder(dir / run).record());
  }
  for (const auto& entry : fs::recursive_directory_iterator(dir / run)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".state")) {
      EXPECT_NO_THROW(data::read_weights(entry.path())) << name;
    }
    EXPECT_FALSE(clean && name.ends_with(".tmp")) << entry.path();
  }
}

void Survive::expect_goes_on(const std::string& run) {
  const Outcome o = clr(train(run));
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_TRUE(task_files(run) == whole());
  expect_nothing_torn(run, true);
  EXPECT_TRUE(fs::is_empty(dir / (run + "/state")));
}

Environment::Environment(std::string name, const std::string& value) : name_(std::move(name)) {
  setenv(name_.c_str(), value.c_str(), 1);
}
Environment::~Environment() {
  unsetenv(name_.c_str());
}

bool is_sanitized() {
  return std::string(CMAKE_CXX_FLAGS_OF_CLR).find("sanitize") != std::string::npos;
}

}  // namespace reprise::test
