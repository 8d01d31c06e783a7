// The training of one task beside the same steps by hand, undisturbed and interrupted in every way;
// and what the progress of a session adds up to.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_log.h"
#include "data/loader/check_readable.h"
#include "data/loader/order.h"
#include "data/sets/find_tasks.h"
#include "layers/reprogramming/method.h"
#include "optim/schedules.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

// A recipe of three epochs of three steps, changed by `change`.
struct Kind {
  std::string name;
  bool validates = true;
  DType dtype = DType::f32;
  void (*change)(Recipe&) = [](Recipe&) {};
  bool ordered = false;  // by --order
};
const Kind kinds[] = {
    {"adam"},
    {"adam_without_val", false},
    {"cosine", true, DType::f32, [](Recipe& r) { r.schedule = "cosine", r.penalty = "none"; }},
    {"sgd", true, DType::f32,
     [](Recipe& r) { r.optimizer = "sgd", r.penalty = "l1", r.weight_decay = 0.01; }},
    {"sgd_without_val", false, DType::f32, [](Recipe& r) { r.optimizer = "sgd", r.penalty = "l12"; }},
    {"torch", true, DType::f32, [](Recipe& r) { r.rng = "torch"; }},
    {"torch_without_val", false, DType::f32, [](Recipe& r) { r.rng = "torch"; }},
    {"bf16", true, DType::bf16},
    {"linear", true, DType::f32, [](Recipe& r) { r.method = "linear", r.lr_step = 2; }},
    {"side_conv", true, DType::f32, [](Recipe& r) { r.method = "side-conv"; }},
    {"steps", false, DType::f32, [](Recipe& r) { r.steps = 5; }},
    {"steps_of_two_epochs", true, DType::f32, [](Recipe& r) { r.steps = 6; }},
    {"order", true, DType::f32, [](Recipe&) {}, true},
    {"patience", true, DType::f32,
     [](Recipe& r) { r.method = "linear", r.lr = 1e-12, r.epochs = 9, r.patience = 1; }},
    {"no_patience", true, DType::f32,
     [](Recipe& r) { r.method = "linear", r.lr = 1e-12, r.epochs = 9, r.patience = 0; }},
    {"no_epochs", true, DType::f32, [](Recipe& r) { r.epochs = 0; }},
    {"no_epochs_without_val", false, DType::f32, [](Recipe& r) { r.epochs = 0; }},
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

enum class Disturbance { none, stops, kills, kills_between_saves };
constexpr const char* names_of_disturbances[] = {"undisturbed", "stopped", "killed", "killed_between_saves"};

// What a training leaves and reports. `log` and `reports` are without times.
struct Trained {
  int epochs = 0, best_epoch = 0;
  std::int64_t steps = 0;
  std::optional<double> best_val, best_train;
  Snapshot kept;
  std::string log, step_log;
  std::map<std::string, std::string> reports;
};

class Loop : public testing::TestWithParam<std::tuple<Kind, Disturbance>> {
 protected:
  static constexpr int batch = 4;  // of 9 images: the last batch has one
  static void SetUpTestSuite() {
    shared = std::make_unique<Shared>();
    write_task(shared->dir / "data", "dots", 6);
    data::SetOptions sets;
    sets.val_fraction = 0.5;
    data::Task task = data::find_tasks(shared->dir / "data", sets).at(0);
    shared->images = data::check_readable(task, sets, 8, "");
    for (const DType dtype : {DType::f32, DType::bf16})
      shared->backbones[dtype] =
          load_backbone(write_tiny_backbone(shared->dir / "b"), "auto", cpu_device, dtype);
  }
  static void TearDownTestSuite() { shared.reset(); }

  static const Kind& kind() { return std::get<0>(GetParam()); }
  static Recipe recipe() {
    Recipe r;
    r.size = 8, r.epochs = 3, r.batch = batch, r.lr = 0.02, r.lr_step = 1, r.gamma = 0.5, r.seed = 3;
    kind().change(r);
    return r;
  }
  static std::vector<std::vector<std::int64_t>> order() {
    return kind().ordered ? decltype(order()){{8, 1, 0, 5, 4, 4}, {7}, {2, 3, 6, 0, 1}} : decltype(order()){};
  }
  static std::unique_ptr<layers::Network> network(std::optional<TorchGenerator>& generator) {
    const Recipe r = recipe();
    const Backbone& backbone = shared->backbones.at(kind().dtype);
    if (r.rng == "streams") return backbone.instantiate(r.method, 3, r.seed, "dots");
    generator.emplace(r.seed);
    return backbone.instantiate(r.method, 3, *generator);
  }
  static Trained by_hand();

  struct Shared {
    TempDir dir;
    data::TaskImages images;
    std::map<DType, Backbone> backbones;
  };
  static inline std::unique_ptr<Shared> shared;
};

// The loop over epochs and steps as the handbook describes it.
Trained Loop::by_hand() {
  const Recipe r = recipe();
  std::optional<TorchGenerator> generator;
  const auto network = Loop::network(generator);
  const auto kept = layers::task_tensors(*network);
  Learner learner(*network, r);
  const data::ImageStore& images = *shared->images.train;
  Inputs train(*network, images, cpu_device, kind().dtype, false),
      val(*network, *shared->images.val, cpu_device, kind().dtype, false);
  Trained t;
  t.kept = take_snapshot(kept);
  t.log = std::string(task_log_header) + "\n", t.step_log = "step,loss,cross_entropy,images\n";
  if (r.epochs == 0 && kind().validates) t.best_val = evaluate(*network, val).accuracy;
  const auto done = [&] { return r.steps > 0 && t.steps == r.steps; };
  while (t.epochs < r.epochs && !done() && (!kind().validates || t.epochs - t.best_epoch <= r.patience)) {
    const double lr = r.schedule == "step" ? optim::StepLr{r.lr, r.lr_step, r.gamma}.at(t.epochs)
                                           : optim::CosineLr{r.lr, r.epochs, 0}.at(t.epochs);
    learner.optimizer().set_lr(lr);
    std::vector<std::int64_t> images_of_epoch =
        kind().ordered ? order()[static_cast<std::size_t>(t.epochs)]
        : generator    ? data::torch_loader_order(images.count(), *generator)
                       : data::epoch_order(images.count(), r.seed, "dots", t.epochs, true);
    double loss = 0, seen = 0, correct = 0, steps = 0;
    for (const auto& indices : data::cut_batches(images_of_epoch, batch)) {
      if (done()) break;
      const StepResult result = learner.step(train, indices);
      loss += result.loss, correct += static_cast<double>(result.correct), ++steps;
      seen += static_cast<double>(indices.size());
      t.step_log += fmt::format("{},{:.17g},{:.17g},{}\n", ++t.steps, result.loss, result.cross_entropy,
                                fmt::join(indices, " "));
      t.reports[fmt::format("epoch {} image {}", t.epochs + 1, seen)] =
          fmt::format("{} {} {}", indices.size(), loss / steps, correct / seen);
    }
    LoggedEpoch line{++t.epochs, lr, loss, correct / seen, {}, {}, 0};
    const Evaluation now = kind().validates ? evaluate(*network, val) : Evaluation{};
    // PyTorch's validation loader samples as much as the one for training.
    if (generator && kind().validates) data::torch_loader_order(shared->images.val->count(), *generator);
    const bool best = !kind().validates || !t.best_val || now.accuracy > *t.best_val;
    if (kind().validates) line.val_loss = now.loss, line.val_accuracy = now.accuracy;
    if (best) {
      t.best_epoch = t.epochs, t.best_train = correct / seen, t.kept = take_snapshot(kept);
      if (kind().validates) t.best_val = now.accuracy;
    }
    t.log += line.line() + "\n";
    t.reports[fmt::format("epoch {}", t.epochs)] = fmt::format(
        "{} {} {} {}", loss, correct / seen, kind().validates ? now.accuracy : std::nan(""), best);
  }
  return t;
}

using Clock = std::chrono::steady_clock;
struct Killed {};

// Asks for a stop, or throws as if the program were killed, after some steps.
class Disturber : public TrainingObserver {
 public:
  Disturber(Trained& trained, int stop_after, int kill_after, std::chrono::milliseconds step)
      : trained_(trained), stop_after_(stop_after), kill_after_(kill_after), step_(step) {}
  bool wants_stop() const override {
    last = Clock::now();
    return asked_++ == stop_after_;
  }
  void step(int epoch, std::int64_t images, int size, double loss, double accuracy) override {
    std::this_thread::sleep_for(step_);
    if (++steps_ == kill_after_) throw Killed();
    trained_.reports[fmt::format("epoch {} image {}", epoch, images)] =
        fmt::format("{} {} {}", size, loss, accuracy);
  }
  void epoch(int epoch, double loss, double accuracy, double val, bool best, double) override {
    last = Clock::now();
    trained_.reports[fmt::format("epoch {}", epoch)] = fmt::format("{} {} {} {}", loss, accuracy, val, best);
  }
  void line(const std::string& text) override { lines.push_back(text); }
  std::vector<std::string> lines;
  mutable Clock::time_point last = Clock::now();  // when it was asked last, or an epoch ended

 private:
  Trained& trained_;
  int stop_after_, kill_after_, steps_ = 0;
  std::chrono::milliseconds step_;
  mutable int asked_ = 0;
};

std::string without_seconds(const std::string& log) {
  std::string text;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);)
    text += (line.starts_with("epoch") ? line : line.substr(0, line.rfind(',')) + ",0.000") + "\n";
  return text;
}

TEST_P(Loop, leaves_and_reports_what_the_steps_by_hand_do) {
  const Disturbance disturbance = std::get<1>(GetParam());
  const bool kills = disturbance == Disturbance::kills;
  if (kills) setenv("REPRISE_SAVE_STEP_SECONDS", "0", 1);
  if (disturbance == Disturbance::kills_between_saves) setenv("REPRISE_SAVE_SECONDS", "0", 1);
  const Trained expected = by_hand();
  const TempDir dir;
  Trained got;
  int calls = 0;
  // So long in one kind that the times of steps stand out.
  const std::chrono::milliseconds step(kind().name == "linear" && disturbance == Disturbance::stops ? 10 : 0);
  std::chrono::duration<double> elapsed{}, trained{};
  for (bool ended = false; !ended; ++calls) {
    ASSERT_LT(calls, 50);
    // Stops before the first step of all, then after every step. Is killed at every second step, or
    // at the fifth one, after an epoch has ended.
    Disturber observer(got, disturbance == Disturbance::stops ? std::min(calls, 1) : -1,
                       kills                                             ? 2
                       : disturbance == Disturbance::kills_between_saves ? 5
                                                                         : -1,
                       step);
    TrainingJob job;
    job.task = "dots";
    job.recipe = recipe();
    const auto network = Loop::network(job.generator);
    job.device = cpu_device;
    job.dtype = kind().dtype;
    job.train = shared->images.train.get();
    job.val = kind().validates ? shared->images.val.get() : nullptr;
    job.kept = layers::task_tensors(*network);
    job.order = order();
    job.state_file = dir / "state", job.log_file = dir / "log", job.steps_file = dir / "steps";
    job.context.task = "dots";
    const auto begin = Clock::now();
    try {
      const TrainingResult r = train(*network, job, observer);
      ended = true;
      got.epochs = r.epochs, got.best_epoch = r.best_epoch, got.steps = r.steps;
      got.best_val = r.best_val, got.best_train = r.best_train;
      got.kept = take_snapshot(job.kept);
      EXPECT_EQ(r.resumed, calls > 0);
    } catch (const Interrupted&) {
    } catch (const Killed&) {
    }
    elapsed += Clock::now() - begin, trained += observer.last - begin;
    EXPECT_EQ(observer.lines.size(), calls > 0 ? 1u : 0u) << "a resumed training says where it goes on";
  }
  unsetenv("REPRISE_SAVE_STEP_SECONDS");
  unsetenv("REPRISE_SAVE_SECONDS");
  if (disturbance == Disturbance::stops) {
    EXPECT_EQ(calls, expected.steps > 0 ? expected.steps + 1 : 1);
  }
  EXPECT_EQ(got.epochs, expected.epochs);
  EXPECT_EQ(got.best_epoch, expected.best_epoch);
  EXPECT_EQ(got.steps, expected.steps);
  EXPECT_EQ(got.best_val, expected.best_val);
  EXPECT_EQ(got.best_train, expected.best_train);
  EXPECT_EQ(got.reports, expected.reports);
  const std::string log = read_text(dir / "log");
  EXPECT_EQ(without_seconds(log), expected.log);
  EXPECT_EQ(read_text(dir / "steps"), expected.step_log);
  ASSERT_EQ(got.kept.size(), expected.kept.size());
  for (std::size_t i = 0; i < got.kept.size(); ++i) {
    EXPECT_EQ(got.kept[i].name, expected.kept[i].name);
    EXPECT_TRUE(std::ranges::equal(got.kept[i].tensor.raw_bytes(), expected.kept[i].tensor.raw_bytes()))
        << got.kept[i].name;
  }
  // The times of all calls count, each once. A killed call's last step is lost.
  if (disturbance == Disturbance::stops) {
    const double seconds = read_task_log(dir / "log").seconds(), rounding = 0.0005 * expected.epochs;
    EXPECT_GE(seconds, step.count() > 0 ? 0.85 * trained.count() - rounding : 0);
    EXPECT_LE(seconds, elapsed.count() + rounding);
  }
}

std::string name_of_test(const testing::TestParamInfo<std::tuple<Kind, Disturbance>>& test) {
  const auto& [kind, disturbance] = test.param;
  return kind.name + "_" + names_of_disturbances[static_cast<int>(disturbance)];
}
INSTANTIATE_TEST_SUITE_P(Trainer, Loop,
                         testing::Combine(testing::ValuesIn(kinds),
                                          testing::Values(Disturbance::none, Disturbance::stops,
                                                          Disturbance::kills,
                                                          Disturbance::kills_between_saves)),
                         name_of_test);

TEST(State, every_circumstance_that_differs_is_named) {
  const TempDir dir;
  StateContext c;
  c.task = "a", c.architecture = "b", c.backbone = "c", c.recipe = R"({"d": 1})", c.data = {{"train", "e"}};
  c.winograd = "on", c.bf16_order = "pairs", c.instruction_set = "avx2";
  save_state(dir / "s", {}, {}, c);
  EXPECT_TRUE(load_state(dir / "s", c));
  const auto refused = [&](auto change, const std::string& key, const std::string& then,
                           const std::string& now) {
    StateContext other = c;
    change(other);
    const std::string message = error_of([&] { load_state(dir / "s", other); });
    EXPECT_SAYS(message, "its " + key + " differs\n  then    " + then + "\n  now     " + now + "\n");
  };
  refused([](auto& o) { o.task = "x"; }, "task", R"("a")", R"("x")");
  refused([](auto& o) { o.architecture = "x"; }, "architecture", R"("b")", R"("x")");
  refused([](auto& o) { o.backbone = "x"; }, "backbone", R"("c")", R"("x")");
  refused([](auto& o) { o.recipe = R"({"d": 2})"; }, "recipe", R"({"d":1})", R"({"d":2})");
  refused([](auto& o) { o.data["train"] = "x"; }, "data", R"({"train":"e"})", R"({"train":"x"})");
  refused([](auto& o) { o.data["val"] = "x"; }, "data", R"({"train":"e"})", R"({"train":"e","val":"x"})");
  refused([](auto& o) { o.winograd = "off"; }, "winograd", R"("on")", R"("off")");
  refused([](auto& o) { o.bf16_order = "blocks"; }, "bf16 order", R"("pairs")", R"("blocks")");
  StateContext less = c;
  less.task.clear();
  save_state(dir / "s", {}, {}, less);
  refused([](auto&) {}, "task", "(none)", R"("a")");
}

TEST(State, tensors_that_do_not_fit_are_refused) {
  Tensor weight = zeros({2}), bias = zeros({1});
  const std::vector<layers::Entry> entries{{"w", &weight, FileLayout::plain, false},
                                           {"b", &bias, FileLayout::plain, false}};
  const Snapshot good{{"b", ones({1})}, {"w", ones({2})}};
  restore_snapshot(entries, good);
  EXPECT_EQ(weight.data<float>()[1], 1);
  EXPECT_EQ(bias.data<float>()[0], 1);
  for (const Snapshot& bad : {Snapshot{good[0]}, Snapshot{good[0], good[1], {"more", ones({1})}},
                              Snapshot{good[0], {"v", ones({2})}}, Snapshot{good[0], {"w", ones({1})}},
                              Snapshot{good[0], {"w", ones({2}, DType::f64)}}})
    EXPECT_SAYS(error_of([&] { restore_snapshot(entries, bad); }), "state: ");
}

// Adds up what a session reports, and stops it at a step.
class Counter : public TrainingObserver {
 public:
  explicit Counter(int stop_at = -1) : stop_at_(stop_at) {}
  bool wants_stop() const override { return in_step_loop_ && steps_ == stop_at_; }
  void begin(std::int64_t images) override { announced += images; }
  void begin_task(const std::string&, int, std::int64_t) override { in_step_loop_ = true; }
  void step(int, std::int64_t, int batch, double, double) override { ++steps_, trained += batch; }
  void skip(std::int64_t images) override { skipped += images; }
  void line(const std::string& text) override { lines += text + "\n"; }
  std::int64_t announced = 0, trained = 0, skipped = 0;
  std::string lines;

 private:
  int stop_at_, steps_ = 0;
  bool in_step_loop_ = false;
};

class LearningSession : public testing::Test {
 protected:
  LearningSession() {
    write_task(dir / "data", "dots");
    write_task(dir / "data", "lines", 3);
    backbone = load_backbone(write_tiny_backbone(dir / "b"), "auto", cpu_device, DType::f32);
    options.data = dir / "data", options.run = dir / "run", options.quiet = true;
    options.recipe.method = "linear", options.recipe.size = 8, options.recipe.batch = 4;
  }
  std::vector<TaskOutcome> run(TrainingObserver& observer) const {
    Session session(backbone, options, observer);
    session.prepare();
    return session.run();
  }
  const TempDir dir;
  Backbone backbone;
  SessionOptions options;
};

TEST_F(LearningSession, announces_as_many_images_as_it_trains_and_skips) {
  options.recipe.epochs = 9, options.recipe.lr = 1e-12, options.recipe.patience = 2;
  Counter counter;
  run(counter);
  EXPECT_EQ(counter.announced, 9 * (15 + 6));
  EXPECT_EQ(counter.trained, 4 * (15 + 6)) << "the first epoch stays the best";
  EXPECT_EQ(counter.skipped, counter.announced - counter.trained);
  Counter nothing;
  for (const TaskOutcome& outcome : run(nothing)) EXPECT_EQ(outcome.status, finished_before);
  EXPECT_EQ(nothing.announced, 0);
  options.run = dir / "limited", options.recipe.steps = 3;
  Counter limited;
  run(limited);
  EXPECT_EQ(limited.announced, 2 * 3 * 4);
}

TEST_F(LearningSession, a_half_learned_task_refuses_other_pixels) {
  options.recipe.epochs = 2, options.tasks = {"dots"};
  Counter first(2);
  EXPECT_THROW(run(first), Interrupted);
  const std::string image = read_text(dir / "data/dots/class1/3.ppm");
  write_image(dir / "data/dots/class1/3.ppm", 8, 2, 99);
  Counter again;
  EXPECT_SAYS(error_of([&] { run(again); }), "its data differs");
  write_text(dir / "data/dots/class1/3.ppm", image);
  EXPECT_EQ(run(again).at(0).status, "resumed");
  EXPECT_EQ(again.lines, "dots: goes on after epoch 0, step 2\n");
  EXPECT_EQ(again.trained, 2 * 15 - 2 * 4);
}

TEST_F(LearningSession, a_restart_removes_a_half_learned_task_too) {
  options.recipe.epochs = 2, options.tasks = {"dots"};
  Counter first(5);
  EXPECT_THROW(run(first), Interrupted);
  for (const char* file : {"run/state/dots.state", "run/log/dots.csv"})
    EXPECT_TRUE(exists(dir / file)) << file;
  RunFolder(dir / "run").restart();
  EXPECT_TRUE(std::filesystem::is_empty(dir / "run"));
  RunFolder(dir / "run").restart();
  RunFolder(dir / "absent").restart();
}

TEST_F(LearningSession, an_order_must_last_for_the_epochs_or_the_steps) {
  write_text(dir / "order", "0 1 2 3 4\n5 6 7 8 9 10 11 12\n");  // of 2 steps each
  options.tasks = {"dots"}, options.order = dir / "order";
  const auto refusal = [&](int epochs, std::int64_t steps) {
    options.recipe.epochs = epochs, options.recipe.steps = steps;
    TrainingObserver nobody;
    return error_of([&] { Session(backbone, options, nobody).prepare(); });
  };
  EXPECT_EQ(refusal(2, 0), "");
  EXPECT_EQ(refusal(2, 9), "");
  EXPECT_SAYS(refusal(3, 0), "2 lines for --epochs 3");
  EXPECT_EQ(refusal(3, 4), "");
  EXPECT_SAYS(refusal(3, 5), "2 lines for --epochs 3");
}

}  // namespace
}  // namespace reprise::test
