#include "apps/clr/demo/demo_data.h"

#include <filesystem>

#include "data/image/write_png.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

constexpr int max_images = 9999, smallest_size = 16, largest_size = 512, pretraining_factor = 3;

void check_options(const DemoDataOptions& options) {
  const auto known = std::ssize(demo_tasks());
  REPRISE_CHECK(options.count >= 1 && options.count <= known, "demo-data: {} tasks, expected 1 to {}",
                options.count, known);
  REPRISE_CHECK(options.images >= 1 && options.images * pretraining_factor <= max_images,
                "demo-data: {} images a class, expected 1 to {}", options.images,
                max_images / pretraining_factor);
  REPRISE_CHECK(options.size >= smallest_size && options.size <= largest_size,
                "demo-data: a size of {} pixels, expected {} to {}", options.size, smallest_size,
                largest_size);
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  REPRISE_CHECK(!error, "demo-data: cannot make the folder {}: {}", folder.string(), error.message());
}

void write_class(const fs::path& folder, const DemoTask& task, int label, int images,
                 const DemoDataOptions& options) {
  make_folder(folder);
  parallel_for(images, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      data::write_png((folder / fmt::format("{:04}.png", i)).string(),
                      draw_demo_image(task, label, static_cast<int>(i), options));
  });
}

}  // namespace

data::Image draw_demo_image(const DemoTask& task, int label, int index, const DemoDataOptions& options) {
  const std::string& name = task.classes[static_cast<std::size_t>(label)];
  RandomStream random(options.seed, "demo-data/" + task.name + "/" + name, static_cast<std::uint64_t>(index));
  return task.draw(label, options.size, random);
}

std::vector<std::string> demo_task_names() {
  std::vector<std::string> names;
  for (const DemoTask& task : demo_tasks()) names.push_back(task.name);
  return names;
}

void write_demo_data(const std::string& dir, const DemoDataOptions& options) {
  check_options(options);
  make_folder(dir);
  std::error_code error;
  const bool empty = fs::is_empty(dir, error);
  REPRISE_CHECK(!error, "demo-data: cannot read the folder {}: {}", dir, error.message());
  REPRISE_CHECK(empty, "demo-data: the folder {} is not empty", dir);
  for (int t = 0; t < options.count; ++t) {
    const DemoTask& task = demo_tasks()[static_cast<std::size_t>(t)];
    const int images = options.images * (t == 0 ? pretraining_factor : 1);
    for (int label = 0; label < std::ssize(task.classes); ++label)
      write_class(fs::path(dir) / task.name / task.classes[static_cast<std::size_t>(label)], task, label,
                  images, options);
  }
}

}  // namespace reprise::clr
