// Options that several commands share.
#include <CLI/CLI.hpp>

#include "apps/clr/learn/task_data.h"

namespace reprise::clr {

void add_split_options(CLI::App& command, data::SetOptions& sets) {
  command
      .add_option("--val-fraction", sets.val_fraction,
                  "of each class that validates, where there is no val split")
      ->check([](const std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        return *end == '\0' && value > 0 && value < 1 ? std::string()
                                                      : "expected a number between 0 and 1, got " + text;
      })
      ->capture_default_str();
  command.add_option("--max-images", sets.max_images, "training images of a task, equally per class")
      ->check(CLI::Range(1, 1 << 30));
  command.add_flag("--skip-bad", sets.skip_bad, "leave out files that cannot be read");
}

}  // namespace reprise::clr
