// The parts of `clr audit` as a user calls them, with planted faults that they must find.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

class Audit : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    for (const std::string task : {"circles", "dots"}) write_task(dir / "data", task);
  }
  Outcome train(Words more = {}, const std::string& run = "run") const {
    Words words{"train",    "--backbone", dir / "backbone.safetensors",
                "--data",   dir / "data", "--run",
                dir / run,  "--size",     "8",
                "--epochs", "2",          "--batch",
                "5",        "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  // Runs a part that trains a few steps of the task dots.
  Outcome trial(const std::string& part, Words more = {}) const {
    Words words{"audit",  part,         "--backbone", dir / "backbone.safetensors",
                "--data", dir / "data", "--task",     "dots",
                "--size", "8",          "--batch",    "5"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  Outcome layers(Words more = {}) const {
    Words words{"audit",    "layers",          "--backbone", dir / "backbone.safetensors",
                "--images", dir / "data/dots", "--size",     "8"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  static void expect(const Outcome& o, int status, const Words& naming) {
    EXPECT_EQ(o.status, status) << o.out << o.err;
    for (const std::string& word : naming)
      EXPECT_NE((o.out + o.err).find(word), std::string::npos) << word << "\n" << o.out << o.err;
  }
  const TempDir dir;
};

TEST_F(Audit, verify_trains_a_run_again_to_the_same_bytes) {
  ASSERT_EQ(train({"--device", "cpu"}).status, 0);
  const Outcome o = clr({"audit", "verify", dir / "run", "--json", "--scratch", dir.path()});
  expect(o, 0, {"cost: trains 2 tasks again in a scratch folder, 30 images, at most 2 epochs; the first"});
  const json j = json::parse(o.out);
  EXPECT_TRUE(j["same"]);
  EXPECT_EQ(j["tasks"].size(), 2u);
  for (const json& condition : j["conditions"]) EXPECT_TRUE(condition["met"]) << condition;
}

TEST_F(Audit, verify_compares_a_file_of_version_1_in_todays_form) {
  ASSERT_EQ(train({"--device", "cpu", "--tasks", "dots"}).status, 0);
  const std::string file = dir / "run/tasks/dots.safetensors";
  const auto written = data::read_weights(file);
  auto old = written.metadata;
  old.insert({{"backbone_sha256", "absent today"},
              {"device", "cpu"},
              {"dtype", "f32"},
              {"method", "clr"},
              {"preprocessing", reprise::clr::preprocessing_text(8)},
              {"seed", "0"}});
  old["reprise.format"] = "task 1";
  data::write_safetensors(file, written.tensors, old);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 0, {"the same bytes"});
  old["best_epoch"] = "7";
  data::write_safetensors(file, written.tensors, old);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 1, {"metadata 'best_epoch' was 7 and is"});
}

TEST_F(Audit, verify_names_the_first_tensor_with_one_flipped_bit) {
  ASSERT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  const std::string path = dir / "run/tasks/dots.safetensors";
  std::string bytes = read_text(path);
  const std::string last = data::read_weights(path).tensors.back().name;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_text(path, bytes);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 1, {last + ": element [", "1 of "});
  bytes.resize(bytes.size() - 1);
  write_text(path, bytes);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 1, {"the run's file cannot be compared"});
}

TEST_F(Audit, verify_takes_a_task_file_of_an_older_clr) {
  ASSERT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  const std::string path = dir / "run/tasks/dots.safetensors";
  reprise::clr::TaskFile old = reprise::clr::read_task_file(path);
  EXPECT_EQ(old.files_digest.size(), 64u);
  EXPECT_EQ(old.images["train"], 15);
  EXPECT_EQ(old.instruction_set, reprise::clr::instruction_set(cpu_device));
  old.images.clear(), old.files_digest.clear(), old.instruction_set.clear();
  reprise::clr::write_task_file(path, old);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 0, {"the same bytes"});
  // Without a digest of its files, the pixels decide whether the data changed.
  EXPECT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  write_image(dir / "data/dots/class1/3.ppm", 8, 2, 99);
  expect(train({"--tasks", "dots", "--device", "cpu"}), 1, {"no longer what it was learned from"});
}

TEST_F(Audit, verify_says_which_condition_is_not_met) {
  ASSERT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  if (reprise::clr::instruction_set(cpu_device) != "portable") {
    setenv("REPRISE_CPU_ISA", "portable", 1);
    const Outcome o = clr({"audit", "verify", dir / "run", "--quiet"});
    unsetenv("REPRISE_CPU_ISA");
    expect(o, 1,
           {"condition not met: instruction set", "portable", "needed    REPRISE_CPU_ISA=avx",
            "on a machine that has it", "--anyway"});
  }
  write_image(dir / "data/dots/class1/3.ppm", 8, 2, 99);
  expect(clr({"audit", "verify", dir / "run", "--quiet"}), 1, {"condition not met: data of dots, "});
  write_tiny_backbone(dir / "other.safetensors", 7);
  expect(clr({"audit", "verify", dir / "run", "--backbone", dir / "other.safetensors", "--quiet"}), 1,
         {"condition not met: backbone\n"});
}

TEST_F(Audit, verify_refuses_what_is_no_run) {
  expect(clr({"audit", "verify", dir / "nowhere"}), 1, {"not a run folder"});
  ASSERT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  expect(clr({"audit", "verify", dir / "run", "--tasks", "squares"}), 1, {"squares", "dots"});
  expect(clr({"audit", "verify", dir / "run", "--data", dir / "nowhere"}), 1, {"nowhere"});
  expect(clr({"audit", "verify", dir / "run", "--device", "ref"}), 2, {"--device ref", "cpu"});
  expect(clr({"audit", "verify", dir / "run", "--scratch", dir / "nowhere"}), 1, {"--scratch"});
  json record = json::parse(read_text(dir / "run/run.json"));
  record["recipe"].erase("lr");
  write_text(dir / "run/run.json", record.dump());
  expect(clr({"audit", "verify", dir / "run"}), 1, {"no 'lr'"});
}

TEST_F(Audit, repeat_finds_the_same_bits_for_any_number_of_threads) {
  const Outcome o = trial("repeat", {"--steps", "2", "--thread-counts", "1,3", "--json", "--threads", "2"});
  expect(o, 0, {"cost: 2 steps of 5 images of 8x8"});
  const json j = json::parse(o.out);
  EXPECT_TRUE(j["same"]);
  ASSERT_EQ(j["runs"].size(), 4u);
  const char* names[] = {"2 threads", "2 threads, again", "1 thread", "3 threads"};
  for (std::size_t i = 0; i < 4; ++i) {
    const json& run = j["runs"][i];
    EXPECT_EQ(run["name"], names[i]);
    EXPECT_EQ(run["steps"], 2);
    EXPECT_EQ(run["same"], true);
    EXPECT_GT(run["kernels"], 200);
    for (const char* key : {"kernels", "values"}) EXPECT_EQ(run[key], j["runs"][0][key]);
  }
}

TEST_F(Audit, repeat_and_drift_print_tables) {
  const Outcome o = trial("repeat", {"--steps", "1", "--thread-counts", "1", "--threads", "2"});
  expect(o, 0, {"cost: 1 step of 5 images of 8x8", "; 3 times, reading what every kernel writes"});
  EXPECT_EQ(o.err.find("about 0 B"), std::string::npos) << o.err;
  std::istringstream runs(o.out);
  std::string line;
  for (const char* ending :
       {"result", "(what the others are compared with)", "the same bits", "the same bits"}) {
    ASSERT_TRUE(std::getline(runs, line));
    EXPECT_TRUE(line.ends_with(ending)) << o.out;
    EXPECT_EQ(line.find(" - ") != line.npos, ending[0] == '(') << "nothing was compared with the first run";
  }
  setenv("REPRISE_CPU_ISA", "portable", 1);
  const Outcome drift = trial("drift", {"--steps", "2"});
  unsetenv("REPRISE_CPU_ISA");
  expect(drift, 0,
         {"cpu f32 avx2: left out: this machine, or REPRISE_CPU_ISA, stops at portable",
          "cpu f32 portable: 2 steps", "off, to step 1", "off, to step 2"});
  const json truth = json::parse(
      trial("drift", {"--steps", "2", "--json", "--only", "--device", "ref", "--dtype", "f64"}).out);
  std::istringstream curves(drift.out);
  std::getline(curves, line);
  for (std::size_t step = 1; step <= 2; ++step) {
    std::string number, loss;
    curves >> number >> loss;
    EXPECT_EQ(number, std::to_string(step)) << drift.out;
    EXPECT_EQ(loss, fmt::format("{:.9f}", truth["losses"][step - 1].get<double>())) << drift.out;
    std::getline(curves, line);
  }
}

// Expects in the table of audit layers, for each layer, the count of values that are not finite and the
// largest gradient, its last two columns.
void expect_same_rows(const json& printed, const std::string& text) {
  std::istringstream table(text);
  std::size_t rows = 0;
  for (std::string line; std::getline(table, line) && rows < printed["layers"].size();) {
    std::istringstream cells(line);
    std::vector<std::string> row;
    for (std::string cell; cells >> cell;) row.push_back(cell);
    if (row.empty() || row[0] != printed["layers"][rows]["layer"]) continue;
    const json& expected = printed["layers"][rows++];
    std::int64_t not_finite = expected["activation"]["not_finite"];
    std::string largest = "-";
    if (expected.contains("gradient")) {
      const double min = expected["gradient"]["min"], max = expected["gradient"]["max"];
      not_finite += expected["gradient"]["not_finite"].get<std::int64_t>();
      largest = fmt::format("{:.2g}", std::max(-min, max));
    }
    std::erase(row[row.size() - 2], ',');
    EXPECT_EQ(row[row.size() - 2], std::to_string(not_finite)) << line;
    EXPECT_EQ(row.back(), largest) << line;
  }
  EXPECT_EQ(rows, printed["layers"].size());
}

TEST_F(Audit, layers_agree_with_the_reference_and_with_forward) {
  const Outcome o = layers({"--json", "--dump", dir / "dump.safetensors"});
  expect(o, 0, {"cost: 4 images of 8x8"});
  const json j = json::parse(o.out);
  ASSERT_GT(j["layers"].size(), 40u);
  for (const json& row : j["layers"]) {
    EXPECT_LT(row["error"], 1e-4) << row;
    EXPECT_LT(row["own_error"], 1e-5) << row;
    EXPECT_LT(row["gradient_error"], 1e-2) << row;
    EXPECT_EQ(row["activation"]["not_finite"], 0) << row;
  }
  EXPECT_GT(j["layers"][0]["error"], 0);
  EXPECT_NEAR(j["loss"].get<double>() / j["reference_loss"].get<double>(), 1, 1e-5);
  // The same step by `clr forward`, on the images of the dump, whose labels are 0, 1, 2, 3.
  const data::WeightFile dump = data::read_weights(dir / "dump.safetensors");
  const Tensor* images = dump.find("images");
  ASSERT_NE(images, nullptr);
  data::write_safetensors(dir / "in.safetensors", {{"images", *images}, {"labels", labels_in_turn(4, 10)}});
  const std::string device = j["computed"].get<std::string>().substr(0, 3);
  ASSERT_EQ(clr({"forward", "--backbone", dir / "backbone.safetensors", "--device", device, "--input",
                 dir / "in.safetensors", "--output", dir / "out.safetensors", "--train-step"})
                .status,
            0);
  const data::WeightFile out = data::read_weights(dir / "out.safetensors");
  std::string column = j["computed"];
  column.replace(column.find(' '), 1, "_");
  int compared = 0;
  for (const auto& [name, tensor] : out.tensors) {
    if (!name.starts_with("grad.")) continue;
    const Tensor* same = dump.find(column + ".parameter_gradient." + name.substr(5));
    ASSERT_NE(same, nullptr) << name;
    EXPECT_EQ(relative_difference(*same, tensor), 0) << name;
    ++compared;
  }
  EXPECT_GT(compared, 50);
  ASSERT_NE(dump.find("ref_f64.activation.layer1.0"), nullptr);
  EXPECT_EQ(dump.find("ref_f64.gradient.layer1.0")->dtype(), DType::f64);
  expect_same_rows(j, layers({"--quiet"}).out);
  // The figures of each row, from the dumped tensors.
  for (const json& row : j["layers"])
    for (const auto& [kind, error] : {std::pair("activation", "error"), {"gradient", "gradient_error"}}) {
      if (!row.contains(kind)) continue;
      const std::string name = std::string(".") + kind + "." + row["layer"].get<std::string>();
      const Tensor *got = dump.find(column + name), *want = dump.find("ref_f64" + name);
      ASSERT_TRUE(got != nullptr && want != nullptr) << name;
      double difference = 0, size = 0, sum = 0, zeros = 0, least = HUGE_VAL, largest = -HUGE_VAL;
      for (std::int64_t i = 0; i < got->numel(); ++i) {
        const double a = got->view().value(i), b = want->view().value(i);
        difference += (a - b) * (a - b), size += b * b, sum += a, zeros += a == 0;
        least = std::min(least, a), largest = std::max(largest, a);
      }
      const auto n = static_cast<double>(got->numel());
      EXPECT_NEAR(row[error].get<double>(), std::sqrt(difference / size), 1e-12) << name;
      EXPECT_EQ(row[kind]["values"], got->numel()) << name;
      EXPECT_EQ(row[kind]["min"], least) << name;
      EXPECT_EQ(row[kind]["max"], largest) << name;
      EXPECT_EQ(row[kind]["zero_share"], zeros / n) << name;
      EXPECT_NEAR(row[kind]["mean"].get<double>(), sum / n, 1e-9 * (largest - least)) << name;
    }
}

TEST_F(Audit, layers_shows_where_values_stop_being_finite) {
  auto tensors = tiny_backbone();
  for (auto& [name, tensor] : tensors)
    if (name == "layer2.0.conv1.weight") tensor.mutable_data<float>()[0] = 3e38F;
  data::write_safetensors(dir / "backbone.safetensors", tensors);
  const Outcome o = layers({"--json", "--device", "cpu"});
  expect(o, 1, {});
  const json printed = json::parse(o.out);
  for (const json& row : printed["layers"]) {
    if (row["layer"] == "layer2.0.conv1") break;
    EXPECT_EQ(row["activation"]["not_finite"], 0) << row;
  }
  EXPECT_NE(o.out.find("\"not finite\""), std::string::npos);
  expect_same_rows(printed, layers({"--device", "cpu", "--quiet"}).out);
}

TEST_F(Audit, layers_of_a_task) {
  ASSERT_EQ(train({"--tasks", "dots", "--device", "cpu"}).status, 0);
  const Outcome o = layers({"--task", dir / "run/tasks/dots.safetensors", "--device", "cpu", "--count", "3"});
  expect(o, 0, {"conv1.reprogram", "own error", "cpu f32 against ref f64"});
  expect(layers({"--task", dir / "run/tasks/dots.safetensors", "--eval", "--quiet"}), 0, {"layer3.2.bn2"});
  // --eval computes what forward does, a training step's forward something else.
  const std::string task = dir / "run/tasks/dots.safetensors", dump = dir / "dump.safetensors";
  const auto logits = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--task", task, "--device", "cpu", "--dump", dump, "--quiet"});
    expect(layers(more), 0, {"linear "});
    return *data::read_weights(dump).find("cpu_f32.activation.linear");
  };
  const Tensor training = logits({}), evaluated = logits({"--eval"});
  data::write_safetensors(dir / "in.safetensors", {{"images", *data::read_weights(dump).find("images")}});
  expect(clr({"forward", "--backbone", dir / "backbone.safetensors", "--task", task, "--device", "cpu",
              "--input", dir / "in.safetensors", "--output", dir / "out.safetensors"}),
         0, {});
  EXPECT_EQ(relative_difference(evaluated, *data::read_weights(dir / "out.safetensors").find("logits")), 0);
  EXPECT_GT(relative_difference(training, evaluated), 1e-3);
  expect(clr({"audit", "layers", "--method", "scratch", "--arch", "resnet20", "--images", dir / "data",
              "--size", "8"}),
         0, {"linear "});
  expect(clr({"audit", "layers", "--backbone", dir / "backbone.safetensors", "--images", dir / "nowhere"}), 1,
         {"nowhere"});
  std::filesystem::create_directory(dir / "empty");
  expect(clr({"audit", "layers", "--backbone", dir / "backbone.safetensors", "--images", dir / "empty"}), 1,
         {"no image"});
}

TEST_F(Audit, nan_names_kernel_layer_element_and_ranges) {
  expect(trial("nan", {"--steps", "3"}), 0, {"adam_step", "3 steps: every value is finite"});
  const json fine = json::parse(trial("nan", {"--steps", "1", "--json"}).out);
  EXPECT_EQ(fine["finite"], true);
  EXPECT_EQ(fine["steps"], 1);
  EXPECT_EQ(fine["anomaly"], "");
  for (const json& kernel : fine["kernels"]) {
    if (kernel["name"] != "normalize_images") continue;
    EXPECT_EQ(kernel["calls"], 1);
    EXPECT_EQ(kernel["values"], 5 * 8 * 8 * 3) << "five images, and nothing but what the kernel wrote";
    EXPECT_LT(kernel["min"], kernel["max"]);
  }
  const json broken = json::parse(trial("nan", {"--steps", "3", "--lr", "1e30", "--json"}).out);
  EXPECT_EQ(broken["finite"], false);
  EXPECT_EQ(broken["steps"], 1) << "steps before it";
  EXPECT_TRUE(broken["anomaly"].get<std::string>().starts_with("anomaly: "));
  expect(trial("nan", {"--steps", "3", "--lr", "1e30"}), 1,
         {"anomaly: ", "not finite: element [", "layer   ", "task    dots, step 2", "\n  input   [", " to "});
}

TEST_F(Audit, train_in_anomaly_mode_stops_there_and_changes_no_bit) {
  const Outcome o = train({"--tasks", "dots", "--lr", "1e30", "--anomaly"}, "broken");
  expect(o, 1, {"anomaly: ", "layer   ", "task    dots, epoch 1, step 2"});
  EXPECT_FALSE(exists(dir / "broken/tasks/dots.safetensors"));
  ASSERT_EQ(train({"--tasks", "dots"}).status, 0);
  ASSERT_EQ(train({"--tasks", "dots", "--anomaly"}, "watched").status, 0);
  EXPECT_EQ(read_text(dir / "run/tasks/dots.safetensors"), read_text(dir / "watched/tasks/dots.safetensors"));
}

TEST_F(Audit, drift_has_the_losses_of_train) {
  const Outcome o = trial("drift", {"--steps", "3", "--json"});
  expect(o, 0, {"cost: 3 steps of 5 images of 8x8"});
  const json j = json::parse(o.out);
  ASSERT_GE(j["columns"].size(), 2u);
  EXPECT_EQ(j["columns"][0]["name"], "ref f64");
  const std::string here = "cpu f32 " + reprise::clr::instruction_set(cpu_device);
  ASSERT_EQ(
      train({"--tasks", "dots", "--device", "cpu", "--steps", "3", "--log-steps", dir / "steps.csv"}).status,
      0);
  const std::string log = read_text(dir / "steps.csv");
  bool found = false;
  for (const json& column : j["columns"]) {
    const bool in_bf16 = column["name"].get<std::string>().find("bf16") != std::string::npos;
    EXPECT_LT(column["largest_relative_difference"], in_bf16 ? 0.1 : 1e-3) << column;
    double largest = 0;
    for (std::size_t s = 0; s < 3; ++s) {
      const double loss = column["losses"][s], truth = j["columns"][0]["losses"][s];
      largest = std::max(largest, std::abs(loss - truth) / std::abs(truth));
    }
    EXPECT_EQ(column["largest_relative_difference"], largest);
    EXPECT_EQ(column["losses"].size(), 3u);
    if (column["name"] != here) continue;
    found = true;
    for (const double loss : column["losses"])
      EXPECT_NE(log.find(fmt::format(",{:.17g},", loss)), std::string::npos) << log << column;
  }
  EXPECT_TRUE(found) << o.out;
  const json alone = json::parse(
      trial("drift", {"--steps", "3", "--json", "--only", "--device", "ref", "--dtype", "f64"}).out);
  EXPECT_EQ(alone["losses"], j["columns"][0]["losses"]);
  const double first = j["columns"][0]["losses"][0], bound = j["first_bound"], probable = j["first_probable"];
  EXPECT_EQ(alone["first_bound"], bound);
  EXPECT_LT(probable, bound);
  EXPECT_LT(bound, 0.1 * first);
  for (const json& column : j["columns"]) {
    const bool in_bf16 = column["name"].get<std::string>().find("bf16") != std::string::npos;
    EXPECT_LE(std::abs(column["losses"][0].get<double>() - first), in_bf16 ? 0.1 * first : probable)
        << column;
  }
  expect(trial("drift", {"--device", "ref"}), 2, {"--only"});
}

TEST_F(Audit, ops_reaches_every_kernel) {
  const Outcome o = clr({"audit", "ops", "--device", "cpu", "--json"});
  expect(o, 0, {"cost: "});
  const json j = json::parse(o.out);
  EXPECT_EQ(j["not_called"].size(), 0u) << j["not_called"];
  for (const json& k : j["kernels"]) {
    EXPECT_LE(k["share_of_allowance"], 1) << k;
    EXPECT_GT(k["calls"], 0) << k;
    EXPECT_LE(k["mean_ulps"], k["largest_ulps"]) << k;
  }
  const json exact = json::parse(clr({"audit", "ops", "--dtype", "f64", "--quiet", "--json"}).out);
  for (const json& k : exact["kernels"])
    EXPECT_LE(k["largest_ulps"], k["kernel"] == "cast" ? 0.5 : 0) << k;  // cast rounds to f32
  const json bf16 = json::parse(clr({"audit", "ops", "--dtype", "bf16", "--device", "cpu", "--json"}).out);
  EXPECT_EQ(bf16["not_called"].size(), 0u) << bf16["not_called"];
  for (const json& k : bf16["kernels"]) EXPECT_LE(k["share_of_allowance"], 1) << k;
  expect(trial("ops"), 0, {"conv2d_fwd", "adam_step", "not called: "});
  expect(clr({"audit", "ops", "--backbone", dir / "backbone.safetensors"}), 2, {"--data"});
}

TEST_F(Audit, grad_checks_every_op_and_a_network) {
  const Outcome o = clr({"audit", "grad", "--elements", "1", "--tensors", "9", "--json"});
  expect(o, 0, {"then resnet20 with clr: 9 elements of 9 tensors, two passes each: about "});
  EXPECT_EQ(o.err.find("about -"), std::string::npos) << o.err;
  const json checks = json::parse(o.out)["checks"];
  EXPECT_GT(checks.size(), 30u);
  for (const json& c : checks) EXPECT_TRUE(c["passed"]) << c;
  EXPECT_EQ(checks.back()["name"], "resnet20 with clr, 8x8");
  EXPECT_EQ(checks.back()["tensors"], 9);
  EXPECT_EQ(checks.back()["elements"], 9);
  for (const json& c : checks) {
    EXPECT_LE(c["share_of_allowance"], 1) << c;
    EXPECT_GT(c["share_of_allowance"], 0) << c;
    EXPECT_GE(c["elements"], c["tensors"]) << c;
    EXPECT_LE(c["elements"].get<int>(), 16 * c["tensors"].get<int>()) << c;
  }
  // The first, the last, and those between: 9 of all trained tensors.
  const std::string report = checks.back()["report"];
  for (const char* tensor : {"conv1.reprogram.weight", "linear.bias"}) EXPECT_SAYS(report, tensor);
  expect(clr({"audit", "grad", "--arch", "resnet18", "--size", "12"}), 1,
         {"images of 12x12 pixels", "a batch norm of resnet18", "expected --size 33 or more"});
  expect(clr({"audit", "grad", "--device", "cpu"}), 2, {"only on ref"});
  for (const char* size : {"7", "513"}) expect(clr({"audit", "grad", "--size", size}), 2, {"--size", "8"});
  expect(clr({"audit", "grad", "--method", "none"}), 2, {"none"});
}

TEST_F(Audit, wrong_usage) {
  expect(clr({"audit"}), 2, {"verify", "repeat", "layers", "nan", "drift", "ops", "grad"});
  expect(clr({"audit", "everything"}), 2, {"everything"});
  expect(clr({"audit", "repeat", "--backbone", dir / "backbone.safetensors"}), 2, {"--data"});
  expect(trial("repeat", {"--method", "no-such"}), 2, {"no-such"});
  expect(trial("nan", {"--lr", "-1"}), 2, {"--lr"});
  expect(clr({"audit", "nan", "--backbone", dir / "backbone.safetensors", "--data", dir / "data", "--size",
              "4", "--batch", "7"}),
         1, {"--batch 6 works"});
  expect(trial("nan", {"--backbone", dir / "absent.safetensors"}), 2, {"--backbone"});
  expect(clr({"audit", "nan", "--backbone", dir / "absent.safetensors", "--data", dir / "data"}), 1,
         {"absent.safetensors"});
  if (clr({"audit", "ops", "--device", "cuda"}).status != 0)
    expect(clr({"audit", "layers", "--backbone", dir / "backbone.safetensors", "--images", dir / "data",
                "--device", "cuda"}),
           1, {"--device cuda cannot be used"});
  expect(trial("repeat", {"--thread-counts", "0"}), 2, {"--thread-counts"});
}

// It would take about a minute.
TEST_F(Audit, grad_stops_at_a_signal) {
  Running run({"audit", "grad", "--elements", "1000"}, dir / "err");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  run.send(SIGINT);
  EXPECT_EQ(run.wait(), 130);
  EXPECT_SAYS(read_text(dir / "err"), "interrupted; nothing was changed");
}

}  // namespace
}  // namespace reprise::test
