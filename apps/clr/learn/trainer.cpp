#include "apps/clr/learn/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "data/loader/order.h"
#include "engine/base/check.h"
#include "engine/base/env.h"
#include "optim/schedules.h"

namespace reprise::clr {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

double learning_rate(const Recipe& recipe, int epoch) {
  if (recipe.schedule == "cosine") return optim::CosineLr{recipe.lr, recipe.epochs, 0}.at(epoch);
  return optim::StepLr{recipe.lr, recipe.decay_every(), recipe.gamma}.at(epoch);
}

// Returns true if only the head is trained and batch norm uses its running statistics:
// the features then never change.
bool features_once(layers::Network& network) {
  return !network.is_training() && network.trained_parameters().size() == 2 && network.head().bias.defined();
}

// Writes the file of --log-steps. After a resume it keeps the lines of the finished steps.
class StepLog {
 public:
  StepLog(const std::string& path, std::int64_t steps_done) {
    if (path.empty()) return;
    std::vector<std::string> kept{"step,loss,cross_entropy,images"};
    if (steps_done > 0) {
      std::ifstream old(path);
      std::string line;
      std::getline(old, line);
      while (static_cast<std::int64_t>(kept.size()) <= steps_done && std::getline(old, line))
        kept.push_back(line);
      REPRISE_CHECK(static_cast<std::int64_t>(kept.size()) == steps_done + 1,
                    "{}: expected the {} steps done before the interruption, found {}; --restart starts anew",
                    path, steps_done, kept.size() - 1);
    }
    data::write_file_atomically(path, fmt::format("{}\n", fmt::join(kept, "\n")));
    out_.open(path, std::ios::app);
    REPRISE_CHECK(out_.is_open(), "{}: cannot be written", path);
  }
  void write(std::int64_t step, const StepResult& result, const std::vector<std::int64_t>& images) {
    if (!out_.is_open()) return;
    out_ << fmt::format("{},{:.17g},{:.17g},{}\n", step, result.loss, result.cross_entropy,
                        fmt::join(images, " "))
         << std::flush;
    REPRISE_CHECK(out_.good(), "--log-steps: cannot be written (is the disk full?)");
  }

 private:
  std::ofstream out_;
};

class Trainer {
 public:
  Trainer(layers::Network& network, const TrainingJob& job, TrainingObserver& observer)
      : network_(network),
        job_(job),
        observer_(observer),
        learner_(network, job.recipe),
        generator_(job.generator),
        resumed_(resume()),
        train_(network, *job.train, job.device, job.dtype, features_once(network)),
        steps_log_(job.steps_file, state_.steps) {
    if (job.val != nullptr) val_.emplace(network, *job.val, job.device, job.dtype, features_once(network));
    state_.seconds += seconds_between(made_, Clock::now());  // computing the features counts as training time
  }

  TrainingResult run() {
    if (!resumed_) start();
    while (!finished()) {
      run_epoch();
      end_epoch();
    }
    restore_snapshot(job_.kept, state_.best);
    write_log();
    return {state_.epoch, state_.best_epoch, state_.best_val, state_.best_train, state_.steps, resumed_};
  }

 private:
  bool resume() {
    auto saved = load_state(job_.state_file, job_.context);
    if (!saved) return false;
    state_ = std::move(saved->first);
    restore_snapshot(job_.kept, saved->second.now);
    std::map<std::string, Tensor> buffers;
    for (auto& [name, tensor] : saved->second.optimizer) buffers[name] = tensor;
    learner_.optimizer().load_state(buffers);
    if (generator_) generator_ = TorchGenerator::from_state(state_.generator);
    observer_.line(fmt::format("{}: goes on after epoch {}, step {}", job_.task, state_.epoch, state_.step));
    return true;
  }

  void start() {
    state_.best = take_snapshot(job_.kept);
    // With 0 epochs the start is the result. Otherwise the first
    // epoch counts as better, whatever its accuracy.
    if (job_.recipe.epochs == 0 && val_) state_.best_val = validate().accuracy;
  }

  bool out_of_steps() const { return job_.recipe.steps > 0 && state_.steps >= job_.recipe.steps; }
  bool finished() const {
    return state_.epoch >= job_.recipe.epochs || (out_of_steps() && state_.step == 0) ||
           (val_ && state_.epoch - state_.best_epoch > job_.recipe.patience);
  }

  void run_epoch() {
    const auto batches = batches_of_epoch(job_, state_.epoch, generator_);
    learner_.optimizer().set_lr(learning_rate(job_.recipe, state_.epoch));
    epoch_begin_ = Clock::now();
    for (auto s = static_cast<std::size_t>(state_.step); s < batches.size() && !out_of_steps(); ++s) {
      if (observer_.wants_stop()) {
        read_steps(batches);
        interrupt();
      }
      {
        const std::string place = place_of(state_.step + 1);
        const ErrorScope scope("task", place);
        learner_.start(train_, batches[s]);
      }
      state_.step += 1;
      state_.steps += 1;
      if (read_now()) read_steps(batches);
      if (seconds_between(saved_, Clock::now()) > step_save_seconds_) {
        read_steps(batches);
        save_within_epoch();
      }
    }
    read_steps(batches);
  }

  std::string place_of(std::int64_t step) const {
    return fmt::format("{}, epoch {}, step {}", job_.task, state_.epoch + 1, step);
  }

  // Reading waits for a GPU, and costs nothing on a host.
  bool read_now() const {
    return job_.device.is_host() || learner_.unread() == UnreadSteps::most ||
           seconds_between(read_, Clock::now()) > 0.5;
  }

  // Adds the results of the steps done since the last call to the epoch's sums, and reports them.
  void read_steps(const std::vector<std::vector<std::int64_t>>& batches) {
    const std::vector<StepResult> results = learner_.results();
    std::int64_t step = state_.step - std::ssize(results), steps = state_.steps - std::ssize(results);
    for (const StepResult& result : results) {
      const auto& images = batches[static_cast<std::size_t>(step)];
      const std::string place = place_of(++step);
      const ErrorScope scope("task", place);
      result.check_finite();
      state_.loss_sum += result.loss;
      state_.correct += result.correct;
      state_.seen += std::ssize(images);
      steps_log_.write(++steps, result, images);
      observer_.step(state_.epoch + 1, state_.seen, static_cast<int>(images.size()),
                     state_.loss_sum / static_cast<double>(step),
                     static_cast<double>(state_.correct) / static_cast<double>(state_.seen));
    }
    read_ = Clock::now();
  }

  // Error where the loss is not finite. Who is to blame shows in the best values so far: they have
  // given a finite loss before, unless they are those that the task started from.
  Evaluation validate() {
    const std::string place = fmt::format("{}, epoch {}", job_.task, state_.epoch + 1);
    const ErrorScope scope("task", place);
    const Evaluation val = evaluate(network_, *val_);
    if (std::isfinite(val.loss)) return val;
    restore_snapshot(job_.kept, state_.best);
    const bool before = !std::isfinite(evaluate(network_, *val_).loss);
    throw_error("the validation loss is {}: {}", val.loss,
                before ? backbone_at_fault : "a smaller --lr may help");
  }

  void end_epoch() {
    const Evaluation val = val_ ? validate() : Evaluation{};
    const double lr = learner_.optimizer().lr();
    const double accuracy =
        state_.seen > 0 ? static_cast<double>(state_.correct) / static_cast<double>(state_.seen) : 0;
    state_.epoch += 1;
    // In PyTorch both loaders, of training and of validation images, have sampled from it.
    if (generator_) generator_->discard((val_ ? 2 : 1) * data::torch_loader_draws);
    const bool best = !val_ || !state_.best_val || val.accuracy > *state_.best_val;
    if (best) {
      state_.best_epoch = state_.epoch;
      if (val_) state_.best_val = val.accuracy;
      state_.best_train = accuracy;
      state_.best = take_snapshot(job_.kept);
    }
    const double seconds = state_.seconds + seconds_between(epoch_begin_, Clock::now());
    LoggedEpoch epoch{state_.epoch, lr, state_.loss_sum, accuracy, {}, {}, seconds};
    if (val_) epoch.val_loss = val.loss, epoch.val_accuracy = val.accuracy;
    state_.log.push_back(epoch.line());
    observer_.epoch(state_.epoch, state_.loss_sum, accuracy, val_ ? val.accuracy : std::nan(""), best,
                    seconds);
    state_.step = state_.correct = state_.seen = 0;
    state_.loss_sum = state_.seconds = 0;
    // A crash then loses at most the work of a few seconds.
    if (seconds_between(saved_, Clock::now()) > save_seconds_) save();
  }

  void save_within_epoch() {
    state_.seconds += seconds_between(epoch_begin_, Clock::now());
    epoch_begin_ = Clock::now();
    save();
  }

  [[noreturn]] void interrupt() {
    save_within_epoch();
    throw Interrupted(
        fmt::format("{}: interrupted in epoch {} and saved; the same command goes on from there", job_.task,
                    state_.epoch + 1));
  }

  void save() {
    Snapshot buffers;
    for (const auto& [name, tensor] : learner_.optimizer().state())
      buffers.push_back({name, tensor.to(cpu_device)});
    if (generator_) state_.generator = generator_->state();
    save_state(job_.state_file, state_, {take_snapshot(job_.kept), std::move(buffers)}, job_.context);
    write_log();
    saved_ = Clock::now();
  }

  void write_log() {
    if (job_.log_file.empty()) return;
    std::string text = std::string(task_log_header) + "\n";
    for (const auto& line : state_.log) text += line + "\n";
    data::write_file_atomically(job_.log_file, text);
  }

  const Clock::time_point made_ = Clock::now();
  layers::Network& network_;
  const TrainingJob& job_;
  TrainingObserver& observer_;
  Learner learner_;
  TrainState state_;
  std::optional<TorchGenerator> generator_;  // where it stood when the epoch began
  bool resumed_;
  Inputs train_;
  std::optional<Inputs> val_;
  StepLog steps_log_;
  Clock::time_point epoch_begin_, saved_ = Clock::now(), read_ = Clock::now();
  const double save_seconds_ = static_cast<double>(env_int("REPRISE_SAVE_SECONDS")),
               step_save_seconds_ = static_cast<double>(env_int("REPRISE_SAVE_STEP_SECONDS"));
};

}  // namespace

std::vector<std::vector<std::int64_t>> batches_of_epoch(const TrainingJob& job, int epoch,
                                                        std::optional<TorchGenerator> generator) {
  const Recipe& recipe = job.recipe;
  if (!job.order.empty()) return data::cut_batches(job.order[static_cast<std::size_t>(epoch)], recipe.batch);
  if (generator)
    return data::cut_batches(data::torch_loader_order(job.train->count(), *generator), recipe.batch);
  return data::epoch_batches(job.train->count(), recipe.batch, recipe.seed, job.task, epoch, true);
}

TrainingResult train(layers::Network& network, const TrainingJob& job, TrainingObserver& observer) {
  return Trainer(network, job, observer).run();
}

}  // namespace reprise::clr
