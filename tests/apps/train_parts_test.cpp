// The parts of training, called one by one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/state.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/task_log.h"
#include "apps/clr/learn/trainer.h"
#include "data/image/image.h"
#include "data/loader/check_readable.h"
#include "data/sets/find_tasks.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/utf8.h"
#include "engine/core/storage.h"
#include "engine/ops/ops.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

struct Setting {
  Setting() {
    write_task(dir / "data", "dots");
    backbone = load_backbone(write_tiny_backbone(dir / "b.safetensors"), "auto", cpu_device, DType::f32);
    task = data::find_tasks(dir / "data", {}).at(0);
    images = data::check_readable(task, {}, 8, dir / "cache");
    recipe.size = 8;
    recipe.batch = 5;
  }
  std::unique_ptr<layers::Network> network(const std::string& method) const {
    return backbone.instantiate(method, 3, 0, "dots");
  }
  TempDir dir;
  Backbone backbone;
  data::Task task;
  data::TaskImages images;
  Recipe recipe;
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::ranges::equal(a.raw_bytes(), b.raw_bytes());
}

TEST(Step, stored_features_give_the_bits_of_the_whole_network) {
  const Setting s;
  const auto network = s.network("linear");
  Inputs whole(*network, *s.images.train, cpu_device, DType::f32, false);
  Inputs stored(*network, *s.images.train, cpu_device, DType::f32, true);
  const NoGrad no_grad;
  for (const auto& indices : {std::vector<std::int64_t>{3}, {14, 0, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9}})
    EXPECT_TRUE(same_bits(whole.logits(whole.batch(indices)), stored.logits(stored.batch(indices))));
}

TEST(Step, the_reported_loss_counts_the_frozen_filters) {
  const Setting s;
  const auto network = s.network("clr");
  Learner learner(*network, s.recipe);
  double norms = 0;
  const layers::Regularised parts = layers::regularised(*network);
  ASSERT_FALSE(parts.frozen.empty());
  for (const auto* tensors : {&parts.trained, &parts.frozen})
    for (const auto& t : *tensors) {
      double squares = 0;
      for (const float v : t.values<float>()) squares += static_cast<double>(v) * static_cast<double>(v);
      norms += std::sqrt(squares);
    }
  Inputs inputs(*network, *s.images.train, cpu_device, DType::f32, false);
  const std::vector<std::int64_t> batch{0, 5, 10, 14};
  const StepResult result = learner.step(inputs, batch);
  EXPECT_NEAR(result.loss - result.cross_entropy, 1e-5 * norms, 1e-6 * 1e-5 * norms);
}

TEST(Step, an_evaluation_is_the_mean_over_its_images) {
  const Setting s;
  const auto network = s.network("linear");
  Inputs inputs(*network, *s.images.train, cpu_device, DType::f32, false);
  const Evaluation whole = evaluate(*network, inputs);
  network->train(false);
  const NoGrad no_grad;
  double loss = 0, right = 0;
  for (std::int64_t i = 0; i < inputs.count(); ++i) {
    const std::vector<std::int64_t> one{i};
    const Batch image = inputs.batch(one);
    const Tensor logits = inputs.logits(image), labels = image.labels;
    loss += ops::cross_entropy(logits, labels).item() / static_cast<double>(inputs.count());
    right += ops::argmax_rows(logits).values<std::int64_t>()[0] == labels.values<std::int64_t>()[0];
  }
  EXPECT_NEAR(whole.loss, loss, 1e-6 * loss);
  EXPECT_NEAR(whole.accuracy, right / static_cast<double>(inputs.count()), 1e-12);
}

TEST(Step, a_step_lowers_the_loss_and_leaves_the_backbone_alone) {
  Setting s;
  const auto network = s.network("clr");
  s.recipe.lr = 1e-2;
  Learner learner(*network, s.recipe);
  Inputs inputs(*network, *s.images.train, cpu_device, DType::f32, false);
  const std::vector<std::int64_t> batch{0, 5, 10, 14, 2};
  const double first = learner.step(inputs, batch).cross_entropy;
  double last = first;
  for (int i = 0; i < 10; ++i) last = learner.step(inputs, batch).cross_entropy;
  EXPECT_LT(last, first / 2);
  EXPECT_NO_THROW(s.backbone.verify());
}

TEST(Trainer, stops_when_the_best_epoch_is_too_old) {
  Setting s;
  const auto network = s.network("linear");
  s.recipe.method = "linear";
  s.recipe.epochs = 50;
  s.recipe.patience = 3;
  s.recipe.lr = 1e-12;  // so small that the first epoch stays the best
  TrainingJob job;
  job.task = "dots";
  job.recipe = s.recipe;
  job.train = s.images.train.get();
  job.val = s.images.val.get();
  job.kept = layers::task_tensors(*network);
  job.state_file = s.dir / "state";
  TrainingObserver nobody;
  const TrainingResult result = train(*network, job, nobody);
  EXPECT_EQ(result.best_epoch, 1);
  EXPECT_EQ(result.epochs, 5);  // after epoch 4 the best is 3 epochs old, after epoch 5 more than 3
}

TEST(State, comes_back_as_it_was) {
  const TempDir dir;
  TrainState state;
  state.epoch = 3;
  state.step = 5;
  state.loss_sum = 0.1 + 0.2;
  state.best_val = 1.0 / 3;
  state.log = {"1,2,\"three\""};
  state.best = {{"w", tensor({2}, {1.5F, -0.0F})}};
  StateContext context, other;
  context.recipe = R"({"lr": 0.1})";
  other.recipe = R"({"lr": 0.2})";
  save_state(dir / "s", state, {{{"w", tensor({1}, {2.0F})}}, {{"0.m", tensor({1}, {3.0F})}}}, context);
  const auto back = load_state(dir / "s", context);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->first.loss_sum, state.loss_sum);
  EXPECT_EQ(back->first.best_val, state.best_val);
  EXPECT_EQ(back->first.best_train, std::nullopt);
  EXPECT_EQ(back->first.log, state.log);
  EXPECT_TRUE(same_bits(back->first.best[0].tensor, state.best[0].tensor));
  EXPECT_EQ(back->second.optimizer[0].name, "0.m");
  EXPECT_NE(error_of([&] { load_state(dir / "s", other); }).find("recipe"), std::string::npos);
  EXPECT_FALSE(load_state(dir / "absent", context));
  const std::string bytes = read_text(dir / "s");
  StateContext elsewhere = context;
  context.instruction_set = "avx2";
  elsewhere.instruction_set = "avx512";
  save_state(dir / "t", state, {}, context);
  EXPECT_TRUE(load_state(dir / "t", context));
  EXPECT_FALSE(load_state(dir / "t", elsewhere)) << "the task starts anew";
  context.instruction_set.clear();
  for (const char* key : {"context", "state"}) {
    write_text(dir / "s", bytes);
    auto file = data::read_weights(dir / "s");
    file.metadata[key] = "{";
    data::write_safetensors(dir / "s", file.tensors, file.metadata);
    EXPECT_NE(error_of([&] { load_state(dir / "s", context); }).find("a damaged training state"),
              std::string::npos);
  }
  for (std::size_t n = 0; n < bytes.size(); n += 7) {
    write_text(dir / "s", bytes.substr(0, n));
    EXPECT_FALSE(error_of([&] { load_state(dir / "s", context); }).empty()) << n << " bytes";
  }
}

TEST(RunFolder, csv_fields_read_back) {
  for (const std::string text :
       {"plain", "a,b", "say \"no\"", "", "caf\xE9", "a\\b", "\\xE9", "two\nlines\r", "\x1B[2J,"}) {
    EXPECT_TRUE(is_printable(csv_field(text))) << csv_field(text);
    const auto fields = csv_fields("first," + csv_field(text) + ",last");
    ASSERT_EQ(fields.size(), 3u);
    EXPECT_EQ(fields, (std::vector<std::string>{"first", text, "last"}));
  }
  EXPECT_EQ(csv_field("caf\xE9"), "caf\\xE9");
  EXPECT_EQ(csv_field("a\\b"), "a\\\\b");
  EXPECT_EQ(csv_fields("C:\\data,x")[0], "C:\\data");  // a file of an older clr
}

TEST(Recipe, differences_are_named) {
  Recipe a, b;
  b.gamma = 0.2;
  EXPECT_EQ(error_of([&] { check_same_recipe(recipe_text(a), recipe_text(a), "run"); }), "");
  EXPECT_NE(error_of([&] { check_same_recipe(recipe_text(a), recipe_text(b), "run"); }).find("--gamma"),
            std::string::npos);
  b = a;
  b.optimizer = "sgd";
  EXPECT_NE(error_of([&] { check_same_recipe(recipe_text(b), recipe_text(a), "run"); }).find("--optimizer"),
            std::string::npos);
  b.epochs = 2;
  EXPECT_EQ(b.decay_every(), 1);
  EXPECT_EQ(a.decay_every(), 20);
}

TEST(Recipe, comes_back_from_a_file_whole_or_in_part) {
  Recipe a;
  a.optimizer = "sgd";
  a.momentum = 0.8;
  a.lr = 0.1 + 0.2;
  a.seed = 18446744073709551615U;
  const Recipe b = complete_recipe(recipe_text(a), "run");
  EXPECT_EQ(recipe_text(a), recipe_text(b));
  EXPECT_EQ(b.lr_step, 20) << "as it was decayed";
  EXPECT_EQ(partial_recipe(R"({"lr": 0.5, "of another version": []})", "run").lr, 0.5);
  for (const auto& [text, says] : {std::pair(R"({"lr": "fast"})", "'lr' of the recipe is \"fast\""),
                                   {R"({"epochs": 1.5})", "'epochs'"},
                                   {R"({"skip-bad": 1})", "'skip-bad'"}})
    EXPECT_NE(error_of([&, &json = text] { partial_recipe(json, "run"); }).find(says), std::string::npos)
        << text;
  EXPECT_NE(error_of([&] { complete_recipe(R"({"lr": 0.5})", "run"); }).find("no 'method'"),
            std::string::npos);
}

TEST(Recipe, a_value_out_of_range_is_named_with_the_range) {
  const auto said = [](auto change) {
    Recipe r;
    change(r);
    return error_of([&] { check(r); });
  };
  EXPECT_EQ(said([](Recipe&) {}), "");
  EXPECT_EQ(said([](Recipe& r) { r.lr = 0; }), "lr 0: expected a number above 0");
  EXPECT_EQ(said([](Recipe& r) { r.gamma = std::nan(""); }), "gamma nan: expected a number above 0");
  EXPECT_EQ(said([](Recipe& r) { r.momentum = 1; }), "momentum 1: expected a number in [0,1)");
  EXPECT_EQ(said([](Recipe& r) { r.val_fraction = 0; }), "val-fraction 0: expected a number between 0 and 1");
  EXPECT_EQ(said([](Recipe& r) { r.penalty = "l3"; }), "penalty l3: expected one of l2, l1, l12, none");
  EXPECT_EQ(said([](Recipe& r) { r.schedule = ""; }), "schedule is missing: expected one of step, cosine");
  // The ends of every range, and just beyond them.
  const std::pair<void (*)(Recipe&), const char*> cases[] = {
      {[](Recipe& r) { r.size = 8192; }, ""},
      {[](Recipe& r) { r.size = 8193; }, "size"},
      {[](Recipe& r) { r.size = -1; }, "size"},
      {[](Recipe& r) { r.epochs = 0; }, ""},
      {[](Recipe& r) { r.epochs = -1; }, "epochs"},
      {[](Recipe& r) { r.batch = 1; }, ""},
      {[](Recipe& r) { r.lr = 5e-324; }, ""},
      {[](Recipe& r) { r.lr_step = -1; }, "lr-step"},
      {[](Recipe& r) { r.lambda = 0; }, ""},
      {[](Recipe& r) { r.lambda = -1; }, "lambda"},
      {[](Recipe& r) { r.patience = 0; }, ""},
      {[](Recipe& r) { r.patience = -1; }, "patience"},
      {[](Recipe& r) { r.val_fraction = 1; }, "val-fraction"},
      {[](Recipe& r) { r.val_fraction = std::nextafter(1, 0); }, ""},
      {[](Recipe& r) { r.max_images = -1; }, "max-images"},
      {[](Recipe& r) { r.steps = -1; }, "steps"},
      {[](Recipe& r) { r.momentum = 0; }, ""},
      {[](Recipe& r) { r.momentum = std::nextafter(1, 0); }, ""},
      {[](Recipe& r) { r.momentum = -0.1; }, "momentum"},
      {[](Recipe& r) { r.weight_decay = -1; }, "weight-decay"},
      {[](Recipe& r) { r.lr = HUGE_VAL; }, "lr"},
      {[](Recipe& r) { r.schedule = "cosine"; }, ""},
      {[](Recipe& r) { r.rng = "torch"; }, ""},
      {[](Recipe& r) { r.rng = "streams, torch"; }, "rng"},
  };
  for (const auto& [change, field] : cases) {
    const std::string message = said(change);
    EXPECT_EQ(message.substr(0, message.find(' ')), field) << message;
  }
  Recipe r;
  r.batch = 0;
  try {
    check(r);
    ADD_FAILURE() << "not refused";
  } catch (const BadValue& e) {
    EXPECT_EQ(e.field, "batch");
    EXPECT_EQ(e.value, "0");
    EXPECT_EQ(e.expected, "1 or more");
  }
  EXPECT_EQ(error_of([&] { complete_recipe(recipe_text(r), "run"); }),
            "run: damaged: 'batch' of the recipe is 0: expected 1 or more");
}

TEST(Estimate, memory_that_control_groups_leave) {
  const TempDir dir;
  const auto write = [&](const std::string& group,
                         const std::vector<std::pair<std::string, std::string>>& files) {
    std::filesystem::create_directories(dir / group);
    for (const auto& [name, text] : files) write_text(dir / (group + "/" + name), text);
  };
  write("a", {{"memory.max", "max\n"}, {"memory.current", "700\n"}});
  EXPECT_EQ(memory_left({dir / "a", dir / "absent"}), std::numeric_limits<std::int64_t>::max());
  write("b", {{"memory.max", "1000\n"},
              {"memory.current", "700\n"},
              {"memory.stat", "anon 5\ninactive_file 150\n"}});
  EXPECT_EQ(memory_left({dir / "a", dir / "b"}), 450);
  write("c", {{"memory.limit_in_bytes", "500\n"},
              {"memory.usage_in_bytes", "400\n"},
              {"memory.stat", "inactive_file 1\ntotal_inactive_file 20\n"}});
  EXPECT_EQ(memory_left({dir / "b", dir / "c"}), 120);
  write("d", {{"memory.max", "10\n"}, {"memory.current", "11\n"}});
  EXPECT_EQ(memory_left({dir / "d", dir / "b"}), 0);
  write("e", {{"memory.max", "10\n"}});
  EXPECT_EQ(memory_left({dir / "e", dir / "b"}), 300 + 150) << "its use is not known";
}

TEST(TaskLog, lines_read_back) {
  const TempDir dir;
  const LoggedEpoch first{1, 1e-3, 0.1 + 0.2, 1.0 / 3, 0.5, 0.25, 1.5}, second{2, 1e-4, 7, 0, {}, {}, 2};
  write_text(dir / "log",
             std::string(task_log_header) + "\n" + first.line() + "\n" + second.line() + "\nhalf,");
  const TaskLog log = read_task_log(dir / "log");
  ASSERT_EQ(log.epochs.size(), 2u);
  EXPECT_EQ(log.epochs[0].line(), first.line());
  EXPECT_EQ(log.epochs[1].line(), second.line());
  EXPECT_EQ(log.seconds(), 3.5);
  EXPECT_TRUE(read_task_log(dir / "absent").epochs.empty());
}

TEST(Estimate, a_batch_that_does_not_fit_names_one_that_does) {
  MemoryEstimate m;
  m.fixed = 1000;
  m.per_image = 100;
  EXPECT_NO_THROW(check_memory(m, 10, 2000));
  EXPECT_NE(error_of([&] { check_memory(m, 32, 2050); }).find("--batch 10 fits"), std::string::npos);
  EXPECT_NE(error_of([&] { check_memory(m, 32, 1050); }).find("even with --batch 2"), std::string::npos);
  EXPECT_NO_THROW(check_memory(m, 32, 4200));
  EXPECT_SAYS(error_of([&] { check_memory(m, 32, 4199); }), "--batch 31 fits");
  EXPECT_SAYS(error_of([&] { check_memory(m, 32, 1200); }), "--batch 2 fits");
  EXPECT_SAYS(error_of([&] { check_memory(m, 32, 1199); }), "even with --batch 2");
}

TEST(Estimate, a_last_batch_of_one_value) {
  EXPECT_NO_THROW(check_last_batch({{"a", 33}}, 32, 0));
  EXPECT_NO_THROW(check_last_batch({{"a", 33}}, 32, 4));
  EXPECT_NO_THROW(check_last_batch({{"a", 34}}, 32, 1));
  EXPECT_NE(error_of([] {
              check_last_batch({{"a", 33}}, 32, 1);
            }).find("--batch 31 works"),
            std::string::npos);
  // 31 leaves one image of b's 63.
  EXPECT_NE(error_of([] {
              check_last_batch({{"a", 33}, {"b", 63}}, 32, 1);
            }).find("--batch 33 works"),
            std::string::npos);
  EXPECT_NE(error_of([] { check_last_batch({{"a", 4}}, 3, 1); }).find("--batch 2 works"), std::string::npos);
  EXPECT_NE(error_of([] { check_last_batch({{"a", 3}}, 2, 1); }).find("--batch 3 works"), std::string::npos);
  EXPECT_NE(error_of([] { check_last_batch({{"a", 1}}, 32, 1); }).find("--size"), std::string::npos);
}

TEST(Estimate, memory_of_a_step_is_about_what_was_said) {
  Setting s;
  const auto network = s.network("clr");
  const MemoryEstimate said = estimate_memory(*network, 8, DType::f32);
  EXPECT_EQ(least_batch_norm_values(*network, 8), 4);
  Learner learner(*network, s.recipe);
  Inputs inputs(*network, *s.images.train, cpu_device, DType::f32, false);
  std::vector<std::int64_t> batch(15);
  for (std::int64_t i = 0; i < 15; ++i) batch[static_cast<std::size_t>(i)] = i;
  learner.step(inputs, batch);
  release_cached_memory();
  reset_peak_memory();
  const auto before = static_cast<double>(memory_stats().in_use);
  learner.step(inputs, batch);
  const double took = static_cast<double>(memory_stats().peak) - before;
  const auto expected = static_cast<double>(15 * said.per_image);
  EXPECT_GT(expected, 0.7 * took);
  EXPECT_LT(expected, 2.5 * took);
}

TEST(Surroundings, say_only_what_decides_the_bits) {
  EXPECT_EQ(winograd_state(ref_device), "-");
  EXPECT_EQ(winograd_state(cpu_device), "on");
  EXPECT_EQ(instruction_set(ref_device), "-");
  EXPECT_NE(instruction_set(cpu_device), "-");
  EXPECT_EQ(bf16_order_state(ref_device, DType::bf16), "-");
  EXPECT_EQ(bf16_order_state(cpu_device, DType::f32), "-");
  EXPECT_NE(bf16_order_state(cpu_device, DType::bf16), "-");
  setenv("SLURM_JOB_ID", "17", 1);
  const Invocation here = invocation_on(ref_device, DType::f64);
  unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(here.job, "17");
  EXPECT_EQ(here.device, "ref");
  EXPECT_EQ(here.instruction_set, "-");
  EXPECT_EQ(here.pid, getpid());
  EXPECT_EQ(here.decoders, data::decoder_versions());
  EXPECT_FALSE(here.flags.ends_with(' '));
}

}  // namespace
}  // namespace reprise::test
