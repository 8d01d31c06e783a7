// Shows the progress of a training on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/clr/commands/signals.h"

namespace reprise::clr {

// Returns a duration as text: 75 -> "1m15s", 5400 -> "1h30m".
std::string duration_text(double seconds);

// Shows a live bar on a terminal; elsewhere a plain line for each epoch, and one every 30 seconds
// of a long epoch. Prints nothing if quiet. Asks the training to stop after a signal.
class Progress : public TrainingObserver {
 public:
  enum class Style { quiet, plain, live };
  static Style style_for(bool quiet);  // live where standard error is a terminal

  explicit Progress(Style style) : style_(style) {}
  ~Progress() override { clear_bar(); }

  bool wants_stop() const override { return stop_requested(); }
  std::string stop_reason() const override { return pending_signal_name(); }
  void begin(std::int64_t images) override;
  void begin_task(const std::string& task, int epochs, std::int64_t images_per_epoch) override;
  void step(int epoch, std::int64_t images_done, int batch, double loss, double accuracy) override;
  void epoch(int epoch, double train_loss, double train_accuracy, double val_accuracy, bool best,
             double seconds) override;
  void skip(std::int64_t images) override { total_ -= images; }
  void line(const std::string& text) override;  // above the bar
  void end() override { clear_bar(); }

 private:
  void clear_bar();
  double seconds_left() const;

  Style style_;
  std::int64_t total_ = 0, done_ = 0, epoch_images_ = 0;
  int epochs_ = 0, steps_ = 0;
  double busy_ = 0;  // seconds spent on the images that done_ counts
  std::string label_;
  std::chrono::steady_clock::time_point last_step_, last_print_;
  bool bar_ = false, announced_ = false;
};

}  // namespace reprise::clr
