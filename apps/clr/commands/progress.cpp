#include "apps/clr/commands/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "engine/base/log.h"
#include "engine/base/utf8.h"

namespace reprise::clr {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

// Writes to standard error. Where the terminal is gone the training goes on without it.
void show(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string bar_text(double fraction) {
  constexpr int width = 20;
  const int full = std::clamp(static_cast<int>(fraction * width), 0, width);
  return std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(width - full), '.');
}

}  // namespace

std::string duration_text(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f}s", seconds);
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 48 * 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

Progress::Style Progress::style_for(bool quiet) {
  if (quiet) return Style::quiet;
  return isatty(STDERR_FILENO) != 0 ? Style::live : Style::plain;
}

void Progress::begin(std::int64_t images) {
  total_ = images;
  done_ = 0;
  busy_ = 0;
  announced_ = false;
}

void Progress::begin_task(const std::string& task, int epochs, std::int64_t images_per_epoch) {
  label_ = escaped(task);
  epochs_ = epochs;
  epoch_images_ = images_per_epoch;
  steps_ = 0;
  last_step_ = last_print_ = Clock::now();
}

void Progress::step(int epoch, std::int64_t images_done, int batch, double loss, double accuracy) {
  const double took = seconds_since(last_step_);
  last_step_ = Clock::now();
  // The first steps pack weights and warm caches: they would spoil the estimate.
  if (++steps_ > 2) {
    busy_ += took;
    done_ += batch;
  } else {
    total_ -= batch;
  }
  if (style_ == Style::quiet) return;
  if (!announced_ && steps_ == 5) {
    announced_ = true;
    line(fmt::format("expected time in all: {}", duration_text(seconds_left())));
  }
  const double wait = style_ == Style::live ? 0.1 : 30;
  if (seconds_since(last_print_) < wait) return;
  last_print_ = Clock::now();
  const double fraction =
      epoch_images_ > 0 ? static_cast<double>(images_done) / static_cast<double>(epoch_images_) : 0;
  const double rate = busy_ > 0 ? static_cast<double>(done_) / busy_ : 0;
  const std::string text =
      fmt::format("{} epoch {}/{} loss {:.4f} accuracy {:.1f}%  {:.0f} images/s  left {}", label_, epoch,
                  epochs_, loss, 100 * accuracy, rate, duration_text(seconds_left()));
  if (style_ == Style::live) {
    show(fmt::format("\r\033[K[{}] {}", bar_text(fraction), text));
    bar_ = true;
  } else {
    show(fmt::format("{} ({:.0f}% of the epoch)\n", text, 100 * fraction));
  }
}

void Progress::epoch(int epoch, double train_loss, double train_accuracy, double val_accuracy, bool best,
                     double seconds) {
  last_step_ = last_print_ = Clock::now();
  line(fmt::format("{} epoch {}/{} loss sum {:.4f} train {:.1f}% val {:.1f}%{}  {}", label_, epoch, epochs_,
                   train_loss, 100 * train_accuracy, 100 * val_accuracy, best ? " best" : "",
                   duration_text(seconds)));
}

void Progress::line(const std::string& text) {
  if (style_ == Style::quiet) return;
  clear_bar();
  log_line(text);
}

void Progress::clear_bar() {
  if (bar_) show("\r\033[K");
  bar_ = false;
}

double Progress::seconds_left() const {
  if (done_ == 0) return 0;
  return busy_ / static_cast<double>(done_) * static_cast<double>(std::max<std::int64_t>(0, total_ - done_));
}

}  // namespace reprise::clr
