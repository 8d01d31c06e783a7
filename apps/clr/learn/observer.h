// The interface through which a training reports its progress and is asked to stop.
#pragma once

#include <cstdint>
#include <string>

#include "apps/clr/learn/errors.h"

namespace reprise::clr {

// Ignores every report and never asks a training to stop; a subclass overrides what it needs.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  // Called before each step and before each image is read.
  // If it returns true, the training saves and throws Interrupted.
  virtual bool wants_stop() const { return false; }
  // Names the signal that asked for it, "SIGTERM"; the run's record keeps it.
  virtual std::string stop_reason() const { return {}; }

  // Called once. images: how many the whole run will train on, each counted once an epoch.
  virtual void begin(std::int64_t /*images*/) {}
  // Called before a task's first step.
  virtual void begin_task(const std::string& /*task*/, int /*epochs*/, std::int64_t /*images_per_epoch*/) {}
  // Called after each step. epoch counts from 1, images_done is within it. loss and accuracy (in
  // [0,1]): the means over this epoch so far.
  virtual void step(int /*epoch*/, std::int64_t /*images_done*/, int /*batch*/, double /*loss*/,
                    double /*accuracy*/) {}
  // Called after each epoch. train_loss: the sum over the epoch's steps; val_accuracy:
  // NaN without validation images.
  virtual void epoch(int /*epoch*/, double /*train_loss*/, double /*train_accuracy*/, double /*val_accuracy*/,
                     bool /*best*/, double /*seconds*/) {}
  // Called for images that will not be trained on after all (early stop).
  virtual void skip(std::int64_t /*images*/) {}
  // A message for a person.
  virtual void line(const std::string& /*text*/) {}
  virtual void end() {}  // called when Session::run ends, also by an error
};

}  // namespace reprise::clr
