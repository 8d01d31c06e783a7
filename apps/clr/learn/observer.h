// Who watches a training: learns how far it is, and may ask it to stop.
#pragma once

#include <cstdint>
#include <string>

#include "apps/clr/learn/errors.h"

namespace reprise::clr {

// Does nothing with what it is told, and lets every training go on.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  // Asked before each step and each image; the training then saves and throws Interrupted.
  virtual bool wants_stop() const { return false; }
  // Names the signal that asked for it, "SIGTERM"; the run's record keeps it.
  virtual std::string stop_reason() const { return {}; }

  // images: to train on in the whole run, all epochs.
  virtual void begin(std::int64_t /*images*/) {}
  virtual void begin_task(const std::string& /*task*/, int /*epochs*/, std::int64_t /*images_per_epoch*/) {}
  // After each step. loss: the mean over this epoch's steps so far; accuracy likewise, in [0,1].
  virtual void step(int /*epoch*/, std::int64_t /*images_done*/, int /*batch*/, double /*loss*/,
                    double /*accuracy*/) {}
  virtual void epoch(int /*epoch*/, double /*train_loss*/, double /*train_accuracy*/, double /*val_accuracy*/,
                     bool /*best*/, double /*seconds*/) {}
  // Images that will not be trained on after all (early stop, a task left to another process).
  virtual void skip(std::int64_t /*images*/) {}
  virtual void line(const std::string& /*text*/) {}
  virtual void end() {}
};

}  // namespace reprise::clr
