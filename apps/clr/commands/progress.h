// What the person at the terminal sees while a task trains, on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace reprise::clr {

// 75 -> "1m15s", 5400 -> "1h30m".
std::string duration_text(double seconds);

// A live bar on a terminal; elsewhere a plain line an epoch, and one every 30 seconds of a long epoch. Prints
// nothing if quiet.
class Progress {
 public:
  enum class Style { quiet, plain, live };
  static Style style_for(bool quiet);  // live where standard error is a terminal

  // total_images: images to train on in the whole run, all epochs, for the time left.
  Progress(Style style, std::int64_t total_images);
  ~Progress();

  void begin_task(const std::string& label, int epochs, std::int64_t images_per_epoch);
  // After each step. loss: the mean over this epoch's steps so far; accuracy likewise, in [0,1].
  void step(int epoch, std::int64_t images_done, int batch, double loss, double accuracy);
  void epoch(int epoch, double train_loss, double train_accuracy, double val_accuracy, bool best,
             double seconds);
  // Images that will not be trained on after all (early stop, a task left to another process).
  void skip(std::int64_t images);
  // A line of its own, above the bar.
  void line(const std::string& text);

 private:
  void clear_bar();
  double seconds_left() const;

  Style style_;
  std::int64_t total_, done_ = 0, epoch_images_ = 0;
  int epochs_ = 0, steps_ = 0;
  double busy_ = 0;  // seconds spent in what done_ counts
  std::string label_;
  std::chrono::steady_clock::time_point last_step_, last_print_;
  bool bar_ = false, announced_ = false;
};

}  // namespace reprise::clr
