// A temporary folder for one test, removed at its end, with small images in it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace reprise::data {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("reprise-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& below = "") const {
    return below.empty() ? path_.string() : (path_ / below).string();
  }
  void folder(const std::string& below) const { std::filesystem::create_directories(path_ / below); }
  void write(const std::string& below, std::string_view bytes) const {
    std::filesystem::create_directories((path_ / below).parent_path());
    std::ofstream file(path_ / below, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good()) << below;
  }
  // A PPM of width x height pixels; every byte is `value` plus its place.
  void image(const std::string& below, int value = 0, int width = 3, int height = 2) const {
    std::string text = "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n";
    for (int i = 0; i < width * height * 3; ++i) text += static_cast<char>((value + i) & 0xFF);
    write(below, text);
  }

 private:
  std::filesystem::path path_;
};

// Returns the message of the Error that `f` throws.
template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

}  // namespace reprise::data
