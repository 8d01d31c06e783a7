// Every number that clr writes and prints about training, weight files and costs, beside numbers that
// are counted here: logs, tables, JSON and run folders say the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/clr/learn/task_file.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/sha256.h"
#include "tests/apps/figures.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

// Of a ResNet-20: outputs of its 19 convolutions, parameters without head, running statistics.
constexpr int channels = 16 + 6 * 16 + 6 * 32 + 6 * 64, body = 269072, statistics = 2 * channels;
constexpr int backbone_head = 650;

std::string sha256_of(const std::string& path) {
  return sha256_hex(data::read_file(path));
}

json json_of(words arguments, int status = 0) {
  arguments.emplace_back("--json");
  const Outcome o = clr(arguments);
  EXPECT_EQ(o.status, status) << o.err;
  return json::parse(o.out, nullptr, false);
}

class Numbers : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    for (const auto& [split, images] : {std::pair("train", 5), {"val", 2}, {"test", 3}})
      for (int label = 0; label < 3; ++label) {
        const std::string folder = *dir / "data/dots/" + split + "/class" + std::to_string(label);
        fs::create_directories(folder);
        for (int i = 0; i < images; ++i)
          write_image(folder + "/" + split + std::to_string(i) + ".ppm", 8, label,
                      static_cast<std::uint64_t>(i));
      }
    // Too few images to validate on.
    write_task(*dir / "data", "few", 1);
    outcome = new json(json_of(train("run", {"--tasks", "dots", "--lr", "0.01", "--lr-step", "2", "--gamma",
                                             "0.5", "--epochs", "5", "--log-steps", *dir / "steps.csv"})));
  }
  static void TearDownTestSuite() {
    delete dir;
    delete outcome;
    dir = nullptr, outcome = nullptr;
  }
  static words train(const std::string& run, const words& more) {
    words all{"train",    "--backbone",  *dir / "backbone.safetensors",
              "--data",   *dir / "data", "--run",
              *dir / run, "--device",    "cpu",
              "--size",   "8",           "--batch",
              "5",        "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static std::string text(const std::string& file) { return read_text(*dir / file); }
  // The epochs of a log, as numbers; -1 for a field that is empty.
  static std::vector<std::vector<double>> log_of(const std::string& file) {
    const Rows rows = csv_cells(text(file));
    EXPECT_EQ(rows.at(0),
              (Cells{"epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}));
    std::vector<std::vector<double>> log;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      log.emplace_back();
      for (const std::string& cell : rows[i]) log.back().push_back(cell.empty() ? -1 : std::stod(cell));
      EXPECT_EQ(log.back().size(), 7u);
    }
    return log;
  }
  // A split's mean loss and accuracy, from what predict answers image by image.
  static std::pair<double, double> predicted(const std::string& split) {
    const json images = json_of({"predict", "--device", "cpu", "--task", *dir / "run/tasks/dots.safetensors",
                                 *dir / "data/dots/" + split})["images"];
    double loss = 0, right = 0;
    for (const json& image : images) {
      const std::string truth = fs::path(image["path"].get<std::string>()).parent_path().filename();
      right += image["predictions"][0]["class"] == truth;
      for (const json& p : image["predictions"])
        if (p["class"] == truth) loss -= std::log(p["probability"].get<double>());
    }
    const auto n = static_cast<double>(images.size());
    return {loss / n, right / n};
  }
  static TempDir* dir;
  static json* outcome;
};
TempDir* Numbers::dir = nullptr;
json* Numbers::outcome = nullptr;

TEST_F(Numbers, a_log_sums_its_steps_and_its_best_epoch_is_what_predict_measures) {
  const auto log = log_of("run/log/dots.csv");
  const Rows steps = csv_cells(text("steps.csv"));
  ASSERT_EQ(log.size(), 5u);
  ASSERT_EQ(steps.size(), 1u + 15);
  EXPECT_EQ(steps[0], (Cells{"step", "loss", "cross_entropy", "images"}));
  std::size_t best = 0;
  for (std::size_t e = 0; e < 5; ++e) {
    EXPECT_EQ(log[e][0], static_cast<double>(e) + 1);
    EXPECT_EQ(log[e][1], 0.01 * std::pow(0.5, static_cast<double>(e / 2)));
    double loss = 0;
    std::vector<int> seen;
    for (std::size_t s = 3 * e + 1; s <= 3 * e + 3; ++s) {
      EXPECT_EQ(steps[s][0], std::to_string(s));
      loss += std::stod(steps[s][1]);
      EXPECT_GT(std::stod(steps[s][1]), std::stod(steps[s][2])) << "the penalty";
      std::istringstream images(steps[s][3]);
      for (int image = 0; images >> image;) seen.push_back(image);
      EXPECT_EQ(seen.size(), 5 * (s - 3 * e));
    }
    std::sort(seen.begin(), seen.end());
    for (int image = 0; image < 15; ++image) EXPECT_EQ(seen[static_cast<std::size_t>(image)], image);
    EXPECT_NEAR(log[e][2], loss, 1e-12 * loss);
    EXPECT_NEAR(log[e][3] * 15, std::round(log[e][3] * 15), 1e-9);
    EXPECT_NEAR(log[e][5] * 6, std::round(log[e][5] * 6), 1e-9);
    EXPECT_TRUE(log[e][6] > 0 && log[e][6] < 60);
    if (log[e][5] > log[best][5]) best = e;
  }
  EXPECT_GT(log[4][3], log[0][3]) << "it learns";
  EXPECT_LT(log[4][2], log[0][2]);
  const auto [val_loss, val_accuracy] = predicted("val");
  EXPECT_NEAR(log[best][4], val_loss, 1e-5 * val_loss);
  EXPECT_NEAR(log[best][5], val_accuracy, 1e-12);
  const double test_accuracy = predicted("test").second;

  const json& told = (*outcome)["tasks"];
  EXPECT_EQ(told, (json{{{"name", "dots"},
                         {"status", "learned"},
                         {"val_accuracy", log[best][5]},
                         {"test_accuracy", test_accuracy},
                         {"best_epoch", best + 1}}}));
  const json file = json_of({"info", *dir / "run/tasks/dots.safetensors"})["files"][0]["task"];
  EXPECT_EQ(file["best_epoch"], best + 1);
  EXPECT_EQ(file["train_accuracy"], log[best][3]);
  EXPECT_EQ(file["val_accuracy"], log[best][5]);
  EXPECT_EQ(file["test_accuracy"], test_accuracy);
  const Rows results = csv_cells(text("run/results.csv"));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0], (Cells{"task", "method", "classes", "train_images", "val_images", "epochs",
                               "best_epoch", "val_accuracy", "test_accuracy", "task_parameters", "task_bytes",
                               "backbone_parameters", "seconds", "images_per_second"}));
  const Cells& row = results[1];
  EXPECT_EQ(Cells(row.begin(), row.begin() + 7),
            (Cells{"dots", "clr", "3", "15", "6", "5", std::to_string(best + 1)}));
  EXPECT_EQ(std::stod(row[7]), log[best][5]);
  EXPECT_EQ(std::stod(row[8]), test_accuracy);
  EXPECT_EQ(row[9], "7763");
  EXPECT_EQ(row[10], std::to_string(4 * (7763 + statistics)));
  EXPECT_EQ(row[11], std::to_string(body + backbone_head));
  double seconds = 0;
  for (const auto& epoch : log) seconds += epoch[6];
  EXPECT_NEAR(std::stod(row[12]), seconds, 1e-6);
  EXPECT_NEAR(std::stod(row[13]), 75 / seconds, 0.06);
  // The same as a table, of a task that is finished.
  const Rows table = printed_rows(clr(train("run", {"--tasks", "dots", "--lr", "0.01", "--lr-step", "2",
                                                    "--gamma", "0.5", "--epochs", "5"}))
                                      .out);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0], (Cells{"task", "status", "best epoch", "val", "test"}));
  EXPECT_EQ(table[1], (Cells{"dots", "finished before", std::to_string(best + 1), shown_share(log[best][5]),
                             shown_share(test_accuracy)}));
}

TEST_F(Numbers, the_page_draws_the_log) {
  const auto log = log_of("run/log/dots.csv");
  ASSERT_EQ(clr({"report", *dir / "run", "--html", *dir / "page.html"}).status, 0);
  const std::string page = text("page.html");
  const json task = (*outcome)["tasks"][0];
  std::string points[2];  // of training and validation, 430 x 220 pixels
  const auto add = [](std::string& to, double x, double y) {
    for (const auto& [value, end] : {std::pair(x, ","), {y, " "}}) {
      char shown[32];
      std::snprintf(shown, sizeof shown, "%.1f", value);
      std::string number = shown;
      if (number.ends_with(".0")) number.resize(number.size() - 2);
      to += number + end;
    }
  };
  for (std::size_t e = 0; e < 5; ++e)
    for (const int val : {0, 1})
      add(points[val], 34 + 97.0 * static_cast<double>(e), 200 - 192 * log[e][val == 1 ? 5 : 3]);
  const auto all = elements_of(picture_called(page, "Learning curves of dots. clr: 5 epochs, best " +
                                                        task["best_epoch"].dump() + " with " +
                                                        shown_share(task["val_accuracy"])));
  Cells drawn;
  for (const Element& e : all) {
    if (e.name == "polyline") drawn.push_back(e.at("points"));
    if (e.name == "circle") {
      EXPECT_EQ(e.number("cx"), 34 + 97 * (task["best_epoch"].get<double>() - 1));
    }
    if (e.is("line", "chance")) {
      EXPECT_EQ(e.number("y1"), 136);
    }
  }
  EXPECT_EQ(drawn, (Cells{points[0], points[1]}));
  // How far the filters moved from the identity, from the task's file.
  const auto file = clr::read_task_file(*dir / "run/tasks/dots.safetensors");
  std::map<std::string, std::string> moved;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with(".reprogram.weight")) continue;
    const std::int64_t n = tensor.dim(0);
    double distance = 0;
    for (std::int64_t c = 0; c < n; ++c) {
      double squares = 0;
      for (std::int64_t k = 0; k < 9; ++k)
        squares += std::pow(static_cast<double>(tensor.data<float>()[9 * c + k]) - (k == 4 ? 1 : 0), 2);
      distance += std::sqrt(squares);
    }
    char shown[32];
    std::snprintf(shown, sizeof shown, "%.3f", distance / static_cast<double>(n));
    moved[name.substr(0, name.size() - 17)] = shown;
  }
  ASSERT_EQ(moved.size(), 19u);
  std::map<std::string, std::string> shown;
  std::string layer;
  for (const Element& e :
       elements_of(picture_called(page, "Distance from the identity, by layer, of dots"))) {
    if (e.name != "text") continue;
    if (e.at("text-anchor") == "end")
      layer = e.text;
    else
      shown[layer] = e.text;
  }
  EXPECT_EQ(shown, moved);
  const Rows cost = html_rows(between(page, "<h2>What a task costs</h2>", "</table>"));
  EXPECT_EQ(cost.at(1), (Cells{"clr", "6,192", "0", "1,376", "1,376", "195", "35.7 KiB", "1.0 MiB",
                               "36,556 / 1,082,572 = 3.38 %"}));
  const json record = json::parse(text("run/run.json"));
  EXPECT_SAYS(page, "resnet20, 269,722 parameters");
  EXPECT_SAYS(page, record["backbone"]["identity"].get<std::string>());
  EXPECT_SAYS(page, sha256_of(*dir / "backbone.safetensors"));
  for (const char* part : {"batch 5", "epochs 5", "lr 0.01", "gamma 0.5", "lr-step 2", "device cpu"})
    EXPECT_SAYS(page, part);
}

TEST_F(Numbers, the_run_folder_says_how_it_was_made) {
  const json record = json::parse(text("run/run.json")), call = process_records(*dir / "run").at(0);
  EXPECT_EQ(record["format"], "reprise run 2");
  EXPECT_EQ(
      record["backbone"],
      (json{{"path", *dir / "backbone.safetensors"},
            {"file_sha256", sha256_of(*dir / "backbone.safetensors")},
            {"identity", json_of({"info", *dir / "backbone.safetensors"})["files"][0]["network"]["identity"]},
            {"arch", "resnet20"},
            {"parameters", body + backbone_head},
            {"bytes", 4 * (body + backbone_head + statistics)}}));
  for (const auto& [key, value] : {std::pair("lr", json(0.01)),
                                   {"lr-step", 2},
                                   {"gamma", 0.5},
                                   {"epochs", 5},
                                   {"batch", 5},
                                   {"size", 8},
                                   {"method", "clr"},
                                   {"device", "cpu"},
                                   {"dtype", "f32"},
                                   {"seed", 0},
                                   {"penalty", "l2"},
                                   {"optimizer", "adam"},
                                   {"val-fraction", 0.1},
                                   {"max-images", 0},
                                   {"skip-bad", false},
                                   {"steps", 0},
                                   {"init", ""},
                                   {"order", ""}})
    EXPECT_EQ(record["recipe"][key], value) << key;
  EXPECT_EQ(call["argv"].back(), "--json");
  EXPECT_EQ(call["argv"][1], "train");
  EXPECT_EQ(call["data"], *dir / "data");
  EXPECT_EQ(call["tasks"], json({"dots"}));
  EXPECT_EQ(call["how"], "done");
  EXPECT_EQ(call["device"], "cpu");
  EXPECT_EQ(call["tf32"], false);
  EXPECT_GE(call["threads"], 1);
  EXPECT_GT(call["pid"], 1);
  EXPECT_EQ(call["started"].get<std::string>().size(), std::string("2026-01-31T12:00:00Z").size());
  EXPECT_LE(call["started"], call["ended"]);
  for (const char* key : {"host", "version", "compiler", "flags", "instruction_set", "winograd", "decoders"})
    EXPECT_FALSE(call[key].get<std::string>().empty()) << key;
  // What stands in run.json is known before the first step.
  json begun = call;
  for (const char* key : {"ended", "how"}) begun.erase(key);
  begun["tasks"] = json::array();
  EXPECT_EQ(record["invocations"], json({begun}));
}

TEST_F(Numbers, a_task_without_validation_images_keeps_its_last_epoch) {
  const json j =
      json_of(train("few", {"--tasks", "few", "--method", "linear", "--epochs", "2", "--patience", "0"}));
  EXPECT_EQ(j["tasks"], (json{{{"name", "few"}, {"status", "learned"}, {"best_epoch", 2}}}));
  const auto log = log_of("few/log/few.csv");
  ASSERT_EQ(log.size(), 2u);
  for (const auto& epoch : log) EXPECT_TRUE(epoch[4] == -1 && epoch[5] == -1);
  const Cells row = csv_cells(text("few/results.csv")).at(1);
  EXPECT_EQ(Cells(row.begin(), row.begin() + 9), (Cells{"few", "linear", "3", "3", "0", "2", "2", "", ""}));
  EXPECT_EQ(
      printed_rows(
          clr(train("few", {"--tasks", "few", "--method", "linear", "--epochs", "2", "--patience", "0"})).out)
          .at(1),
      (Cells{"few", "finished before", "2", "-", "-"}));
  const json report = json_of({"report", *dir / "few", "--html", *dir / "page.html"});
  EXPECT_TRUE(report["runs"][0]["average"].is_null() && report["tasks"][0]["accuracies"][0].is_null());
  EXPECT_TRUE(report["chance"].is_null() && report["runs"][0]["forgetting"].is_null());
  EXPECT_EQ(report["tasks_in_all_runs"], 0);
  const Rows rows = printed_rows(clr({"report", *dir / "few", *dir / "run"}).out);
  EXPECT_EQ(rows.at(1), (Cells{"few", "3", "val", "33.3 %", "-", "-"}));
  EXPECT_EQ(rows.at(2), (Cells{"dots", "3", "test", "33.3 %", "-",
                               shown_share((*outcome)["tasks"][0]["test_accuracy"])}));
  EXPECT_EQ(rows.at(4), (Cells{"average of 0", "-", "-", "-"}));
  const Outcome better = clr({"report", *dir / "few", *dir / "run", "--require-better"});
  EXPECT_EQ(better.status, 1);
  EXPECT_SAYS(better.err, "no task is in all runs");
}

TEST_F(Numbers, steps_end_an_epoch_early) {
  const json j = json_of(train("short", {"--tasks", "dots", "--method", "linear", "--steps", "4",
                                         "--log-steps", *dir / "short.csv", "--penalty", "none"}));
  const auto log = log_of("short/log/dots.csv");
  const Rows steps = csv_cells(text("short.csv"));
  ASSERT_EQ(log.size(), 2u);
  ASSERT_EQ(steps.size(), 5u);
  for (std::size_t s = 1; s < 5; ++s) EXPECT_EQ(steps[s][1], steps[s][2]) << "without a penalty";
  EXPECT_NEAR(log[1][2], std::stod(steps[4][1]), 1e-12);
  EXPECT_NEAR(log[1][3] * 5, std::round(log[1][3] * 5), 1e-9) << "of the five images seen";
  const Cells row = csv_cells(text("short/results.csv")).at(1);
  EXPECT_NEAR(std::stod(row[13]) / (20 / (log[0][6] + log[1][6])), 1, 0.02) << "20 images were seen";
}

TEST_F(Numbers, a_dry_run_tells_what_would_be_done) {
  const json plan = json_of(train("none", {"--dry-run", "--tasks", "dots", "--epochs", "3"}));
  EXPECT_EQ(plan["backbone"], json::parse(text("run/run.json"))["backbone"]);
  EXPECT_EQ(plan["recipe"]["epochs"], 3);
  EXPECT_EQ(plan["recipe"]["lr-step"], 1);
  const json digests =
      json_of({"info", *dir / "run/tasks/dots.safetensors"})["files"][0]["task"]["data_digests"];
  EXPECT_EQ(digests.size(), 3u);
  EXPECT_EQ(plan["tasks"], (json{{{"name", "dots"},
                                  {"classes", 3},
                                  {"train_images", 15},
                                  {"val_images", 6},
                                  {"test_images", 9},
                                  {"digests", digests},
                                  {"finished", false}}}));
  EXPECT_GT(plan["memory"], 1000000);
  EXPECT_LT(plan["memory"], 100000000);
  EXPECT_EQ(plan["shards"], json::array());
  // Two parts: dots is the longer task, 15 training images and 0.35 for each to validate; few has 3.
  const json divided = json_of(train("none", {"--dry-run", "--shard", "2/2", "--epochs", "3"}));
  ASSERT_EQ(divided["shards"].size(), 2u);
  const json &first = divided["shards"][0], &second = divided["shards"][1];
  EXPECT_EQ(first["tasks"], json({"dots"}));
  EXPECT_EQ(second["tasks"], json({"few"}));
  EXPECT_NEAR(first["images"].get<double>(), 15 + 0.35 * 6, 1e-9);
  EXPECT_NEAR(second["images"].get<double>(), 3, 1e-9);
  EXPECT_NEAR(first["seconds"].get<double>() / second["seconds"].get<double>(), 17.1 / 3, 1e-9);
  EXPECT_GT(second["seconds"], 0);
  ASSERT_EQ(divided["tasks"].size(), 1u);
  EXPECT_EQ(divided["tasks"][0]["name"], "few");
  EXPECT_FALSE(exists(*dir / "none"));
  const Rows table = printed_rows(clr(train("none", {"--dry-run", "--shard", "1/2", "--epochs", "3"})).out);
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(Cells({table[1][0], table[1][1], table[1][3]}), (Cells{"1", "17", "dots"}));
  EXPECT_EQ(Cells({table[2][0], table[2][1], table[2][3]}), (Cells{"2", "3", "few"}));
  const json finished = json_of(train("run", {"--dry-run", "--tasks", "dots", "--lr", "0.01", "--lr-step",
                                              "2", "--gamma", "0.5", "--epochs", "5"}));
  EXPECT_EQ(finished["tasks"][0]["finished"], true);
}

TEST_F(Numbers, tasks_lists_the_same_as_table_and_json) {
  write_text(*dir / "data/few/class1/broken.ppm", "no image");
  const words command{"tasks", "--data", *dir / "data"};
  const json j = json_of(command)["tasks"];
  const Rows rows = printed_rows(clr(command).out);
  fs::remove(*dir / "data/few/class1/broken.ppm");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0], (Cells{"task", "id", "classes", "train", "val", "test", "unreadable"}));
  EXPECT_EQ(rows[1], (Cells{"dots", "-", "3", "15", "6", "9", "0"}));
  EXPECT_EQ(rows[2], (Cells{"few", "-", "3", "3", "0", "0", "1"}));
  for (const std::size_t t : {0u, 1u}) {
    EXPECT_EQ(j[t]["name"], rows[1 + t][0]);
    EXPECT_EQ(j[t]["id"], "");
    EXPECT_EQ(j[t]["classes"], json({"class0", "class1", "class2"}));
    for (const std::size_t column : {3u, 4u, 5u})
      EXPECT_EQ(j[t][rows[0][column]].dump(), rows[1 + t][column]);
    EXPECT_EQ(j[t]["unreadable"].size(), t);
    EXPECT_EQ(j[t]["skipped"], json::array());
  }
  EXPECT_EQ(j[1]["unreadable"][0]["path"], *dir / "data/few/class1/broken.ppm");
}

// What each method stores for a task of three classes, on a ResNet-20.
struct MethodNumbers {
  const char* method;
  int kernels, convolutions;
  bool batch_norm;
  int folded;          // numbers per channel that a packed task leaves out
  int int8;            // bytes of a task packed as int8, without its head
  std::int64_t added;  // multiply-adds for an image of 8x8
};

TEST_F(Numbers, info_counts_what_methods_cost) {
  // A convolution's multiply-adds: height * width * inputs * outputs * 9. Two additions count as one,
  // those of the head's three biases and of a side convolution to each output.
  const std::int64_t filters = 64 * 9 * (3 * 16 + 6 * 16 * 16) + 16 * 9 * (16 * 32 + 5 * 32 * 32) +
                               4 * 9 * (32 * 64 + 5 * 64 * 64),
                     work = filters + 64 * 3 + 1, outputs = 64 * 16 * 7 + 16 * 32 * 6 + 4 * 64 * 6;
  const int convolutions = body - 2 * channels, head = 3 * 65;
  // In int8 a number takes one byte; a row's step, a filter's centre and a bias take two.
  const std::vector<MethodNumbers> expected = {
      {"bn-only", 0, 0, true, 2, 4 * channels, 0},
      {"clr", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-full", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-mixed", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-residual", 10 * channels, 0, true, 2, 18 * channels, 10 * outputs},
      {"finetune", 0, convolutions, true, 3, convolutions + 4 * channels, 0},
      {"linear", 0, 0, false, 0, 0, 0},
      {"scratch", 0, convolutions, true, 3, convolutions + 4 * channels, 0},
      {"side-conv", convolutions / 9, 0, false, 0, convolutions / 9 + 2 * channels,
       filters / 9 + outputs / 2}};
  const words command{"info", "--arch", "resnet20", "--classes", "3", "--size", "8"};
  words all = command;
  all.insert(all.end(), {"--method", "all"});
  const json j = json_of(all);
  EXPECT_EQ(j["arch"], "resnet20");
  EXPECT_EQ(j["classes"], 3);
  EXPECT_EQ(j["size"], 8);
  const Rows table = printed_rows(clr(all).out);
  ASSERT_EQ(j["methods"].size(), expected.size());
  for (const MethodNumbers& m : expected) {
    SCOPED_TRACE(m.method);
    const auto found =
        std::ranges::find_if(j["methods"], [&](const json& c) { return c["method"] == m.method; });
    ASSERT_NE(found, j["methods"].end());
    const json& c = *found;
    const int bn = m.batch_norm ? 2 * channels : 0, own = m.kernels + m.convolutions + 2 * bn + head;
    const int whole = body + statistics + head;
    EXPECT_EQ(c["kernels"], m.kernels);
    EXPECT_EQ(c["convolutions"], m.convolutions);
    EXPECT_EQ(c["batch_norm_affine"], bn);
    EXPECT_EQ(c["batch_norm_statistics"], bn);
    EXPECT_EQ(c["head"], head);
    EXPECT_EQ(c["number_bytes"], 4);
    EXPECT_EQ(c["bytes"], 4 * own);
    EXPECT_EQ(c["network_bytes"], 4 * whole);
    EXPECT_EQ(c["without_head"], own - head);
    EXPECT_EQ(c["body_parameters"], body);
    EXPECT_NEAR(c["without_head_of_body"].get<double>(), static_cast<double>(own - head) / body, 1e-15);
    EXPECT_EQ(c["parameters"], own - bn);
    EXPECT_EQ(c["network_parameters"], body + head);
    EXPECT_EQ(c["multiply_adds"], work);
    EXPECT_EQ(c["multiply_adds_added"], m.added);
    const int fold = c["packed_bytes"]["fold"], f16 = c["packed_bytes"]["f16"],
              int8 = c["packed_bytes"]["int8"];
    EXPECT_EQ(fold, 4 * (own - m.folded * channels));
    EXPECT_EQ(f16, fold / 2);
    EXPECT_EQ(int8, m.int8 + 3 * 64 + 3 * (2 + 2));
    const auto share = [](double part, double of) { return shown_share(part / of, 3); };
    const auto row = std::ranges::find_if(
        table, [&](const Cells& cells) { return !cells.empty() && cells[0] == m.method; });
    ASSERT_NE(row, table.end());
    EXPECT_EQ(*row, (Cells{m.method, shown_count(m.kernels), shown_count(m.convolutions), shown_count(bn),
                           shown_count(bn), shown_count(head), shown_count(4 * own), shown_count(fold),
                           shown_count(f16), shown_count(int8), share(own - head, body),
                           share(own - bn, body + head), share(own, whole), share(int8, 4.0 * whole),
                           "+" + share(static_cast<double>(m.added), static_cast<double>(work))}));
    words one = command;
    one.insert(one.end(), {"--method", m.method});
    const std::string text = clr(one).out;
    EXPECT_SAYS(text, std::string("resnet20, 3 classes, images of 8x8, method ") + m.method);
    Rows rows = printed_rows(text);
    const auto says = [&](const Cells& cells) {
      EXPECT_NE(std::ranges::find(rows, cells), rows.end()) << cells[0] << "\n" << text;
    };
    const auto counted = [&](const char* what, int n) { says({what, shown_count(n), shown_count(4 * n)}); };
    counted("kernels (layers that the method adds)", m.kernels);
    if (m.convolutions > 0) counted("convolutions", m.convolutions);
    EXPECT_EQ(text.find("\nconvolutions") != std::string::npos, m.convolutions > 0);
    counted("batch norm, scale and shift", bn);
    counted("batch norm, running statistics", bn);
    counted("head", head);
    counted("together", own);
    counted("the whole network instead", whole);
    const auto spelled = [&](std::int64_t part, std::int64_t of, const std::string& what) {
      EXPECT_SAYS(text, shown_count(part) + " of " + shown_count(of) + " = " +
                            share(static_cast<double>(part), static_cast<double>(of)) + "  " + what);
    };
    spelled(own - head, body, "what is stored without the head");
    spelled(own - bn, body + head, "parameters of the task with its head");
    spelled(4 * own, 4 * whole, "bytes, with statistics and head");
    spelled(fold, 4 * whole, "bytes, packed for prediction (clr convert --pack fold)");
    spelled(int8, 4 * whole, "bytes, packed for prediction (clr convert --pack int8)");
    spelled(m.added, work, "multiply-adds added");
  }
}

TEST_F(Numbers, info_of_a_task_and_of_a_backbone_adds_up) {
  const std::string task = *dir / "run/tasks/dots.safetensors", backbone = *dir / "backbone.safetensors";
  const json j = json_of({"info", task, backbone, "--table"})["files"];
  ASSERT_EQ(j.size(), 2u);
  const json& t = j[0]["task"];
  EXPECT_EQ(j[0]["path"], task);
  EXPECT_EQ(j[0]["format"], "safetensors");
  EXPECT_EQ(j[0]["sha256"], sha256_of(task));
  EXPECT_EQ(t["task"], "dots");
  EXPECT_EQ(t["method"], "clr");
  EXPECT_EQ(t["arch"], "resnet20");
  EXPECT_EQ(t["backbone_identity"], j[1]["network"]["identity"]);
  EXPECT_EQ(t["classes"], json({"class0", "class1", "class2"}));
  EXPECT_EQ(t["size"], 8);
  EXPECT_EQ(t["seed"], 0);
  EXPECT_EQ(t["packed"], "");
  EXPECT_EQ(t["recipe"], json::parse(text("run/run.json"))["recipe"]);
  EXPECT_EQ(t["cost"], (json{{"parameters", 7763},
                             {"reprogramming_parameters", 6192},
                             {"convolution_parameters", 0},
                             {"batch_norm_parameters", 1376},
                             {"head_parameters", 195},
                             {"statistics", 1376},
                             {"bytes", 4 * (7763 + 1376)},
                             {"network_parameters", body + 195},
                             {"network_bytes", 4 * (body + 195 + statistics)},
                             {"backbone_body_parameters", body}}));
  const json& n = j[1]["network"];
  EXPECT_EQ(n["classes"], 10);
  EXPECT_EQ(n["body_parameters"], body);
  EXPECT_EQ(n["head_parameters"], 650);
  for (const char* none : {"missing", "extra", "shape_differs"}) EXPECT_EQ(n[none], json::array()) << none;
  for (const char* none : {"converted", "skipped", "candidates"})
    EXPECT_EQ(j[1][none], json::array()) << none;
  EXPECT_EQ(j[1]["section"], "");
  EXPECT_EQ(j[1]["prefix"], "");

  const Outcome o = clr({"info", task, "--table"});
  EXPECT_SAYS(
      o.out,
      "7,763 of 269,267 parameters of the whole network (backbone body and a head for this task) = 2.88 %");
  EXPECT_SAYS(o.out,
              "7,568 of 269,072 parameters of the backbone's body (the task's head left out) = 2.81 %");
  EXPECT_SAYS(o.out, "36,556 of 1,082,572 bytes of tensors of the whole network = 3.38 %");
  EXPECT_SAYS(o.out, "best epoch " + t["best_epoch"].dump() + ", on cpu in f32");
  for (const auto& [split, said] :
       {std::pair("train", "train accuracy "), {"val", "val accuracy  "}, {"test", "test accuracy "}})
    EXPECT_SAYS(o.out, said + shown_share(t[std::string(split) + "_accuracy"]) + "\n");
  // Tensors: as many bytes as numbers have, in all rows and together.
  const Rows rows = printed_rows(o.out);
  std::int64_t numbers = 0;
  for (const json& tensor : j[0]["tensors"]) {
    std::int64_t count = 1;
    std::string shape;
    for (const std::int64_t size : tensor["shape"])
      count *= size, shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    numbers += count;
    const Cells row{tensor["name"], "[" + shape + "]", "f32", shown_count(4 * count)};
    EXPECT_NE(std::ranges::find(rows, row), rows.end()) << row[0];
    EXPECT_EQ(tensor["dtype"], "f32");
  }
  EXPECT_EQ(numbers, 7763 + 1376);
  const Cells together{std::to_string(j[0]["tensors"].size()) + " tensors", "9,139 numbers", "36,556"};
  EXPECT_NE(std::ranges::find(rows, together), rows.end()) << o.out;
  // Layers: of the task at its own size, of the backbone at the one it was made for.
  for (const std::size_t f : {0u, 1u}) {
    const int size = f == 0 ? 8 : 32, head = f == 0 ? 195 : 650;
    std::int64_t parameters = 0, trained = 0, multiply_adds = 0;
    for (const json& layer : j[f]["layers"]) {
      parameters += layer["parameters"].get<std::int64_t>(), trained += layer["trained"].get<std::int64_t>();
      const std::string name = layer["name"], type = layer["type"];
      if (name == "conv1" || name == "layer2.0.conv1" || name == "layer3.2.conv2") {
        const std::int64_t in = name == "conv1"            ? 3
                                : name == "layer2.0.conv1" ? 16
                                                           : 64,
                           out = name == "conv1"            ? 16
                                 : name == "layer2.0.conv1" ? 32
                                                            : 64;
        const int side = size * 16 / static_cast<int>(out);
        EXPECT_EQ(layer["output"], json({1, side, side, out})) << name;
        EXPECT_EQ(layer["flops"], 2 * side * side * in * out * 9) << name;
        EXPECT_EQ(layer["parameters"], in * out * 9) << name;
        EXPECT_EQ(layer["trained"], 0) << name;
        ++multiply_adds;
      }
      if (name == "linear") {
        EXPECT_EQ(layer["output"], json({1, head / 65}));
        EXPECT_EQ(layer["parameters"], head);
      }
    }
    EXPECT_EQ(multiply_adds, 3);
    EXPECT_EQ(parameters, body + head + (f == 0 ? 6192 : 0));
    EXPECT_EQ(trained, f == 0 ? 7763 : 0);
  }
  const Cells total = rows.back();
  EXPECT_EQ(total[0], "total");
  const std::string sums = o.out.substr(o.out.rfind("total"));
  EXPECT_SAYS(sums, shown_count(body + 195 + 6192));
  EXPECT_SAYS(sums, " 7,763 ");
  std::int64_t flops = 0;
  for (const json& layer : j[0]["layers"]) flops += layer["flops"].get<std::int64_t>();
  EXPECT_SAYS(sums, " " + shown_count(flops) + "\n");
  EXPECT_SAYS(o.out, "for one image of 8x8");
  EXPECT_EQ(json_of({"info", backbone, "--table", "--size", "16"})["files"][0]["layers"][0]["output"],
            json({1, 16, 16, 16}));
}

TEST_F(Numbers, what_is_written_is_told) {
  const std::string task = *dir / "run/tasks/dots.safetensors", backbone = *dir / "backbone.safetensors";
  EXPECT_EQ(json_of({"convert", backbone, *dir / "b.pth"}), (json{{"in", backbone},
                                                                  {"in_format", "safetensors"},
                                                                  {"out", *dir / "b.pth"},
                                                                  {"out_format", "pth-zip"},
                                                                  {"section", ""},
                                                                  {"prefix", ""},
                                                                  {"tensors", tiny_backbone().size()},
                                                                  {"skipped", json::array()},
                                                                  {"converted", json::array()}}));
  const Outcome back = clr({"convert", *dir / "b.pth", *dir / "b2.safetensors"});
  EXPECT_EQ(back.out, *dir / "b.pth" + " (pth-zip) -> " + *dir / "b2.safetensors" +
                          " (safetensors): " + std::to_string(tiny_backbone().size()) + " tensors\n");
  const json full = json_of({"convert", "--full", task, *dir / "full.safetensors"});
  EXPECT_EQ(full["in"], task);
  EXPECT_EQ(full["out"], *dir / "full.safetensors");
  EXPECT_EQ(full["tensors"], data::read_weights(*dir / "full.safetensors").tensors.size());
  const std::string packed = *dir / "packed.safetensors";
  const json pack =
      json_of({"convert", "--pack", "fold", task, packed, "--data", *dir / "data", "--device", "cpu"});
  EXPECT_EQ(pack["packed"], "fold");
  EXPECT_EQ(pack["bytes_in"], fs::file_size(task));
  EXPECT_EQ(pack["bytes_out"], fs::file_size(packed));
  EXPECT_EQ(pack["tensor_bytes_in"], 36556);
  EXPECT_EQ(pack["val"]["images"], 6);
  EXPECT_EQ(pack["val"]["accuracy"], (*outcome)["tasks"][0]["val_accuracy"]);
  const Rows rows = printed_rows(clr({"convert", "--pack", "fold", task, packed}).out);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0], (Cells{"bytes", "tensors", "header"}));
  for (const auto& [row, end] : {std::pair(1, "in"), {2, "out"}}) {
    const std::int64_t bytes = pack[std::string("bytes_") + end],
                       own = pack[std::string("tensor_bytes_") + end];
    EXPECT_EQ(rows[static_cast<std::size_t>(row)],
              (Cells{pack[end], shown_count(bytes), shown_count(own), shown_count(bytes - own)}));
  }
  const words pretrain{
      "pretrain", "--data", *dir / "data", "--task", "dots",     "--output", *dir / "own.safetensors",
      "--size",   "8",      "--epochs",    "2",      "--device", "cpu",      "--batch",
      "5",        "--quiet"};
  const json made = json_of(pretrain);
  EXPECT_EQ(made["output"], *dir / "own.safetensors");
  EXPECT_EQ(clr(pretrain).out, *dir / "own.safetensors" + ": resnet20 trained on dots, best epoch " +
                                   made["best_epoch"].dump() + " of 2, val " +
                                   shown_share(made["val_accuracy"]) + "\n");
  EXPECT_NEAR(made["val_accuracy"].get<double>() * 6, std::round(made["val_accuracy"].get<double>() * 6),
              1e-9);
  const json demo =
      json_of({"demo-data", *dir / "demo", "--count", "1", "--images", "2", "--size", "16", "--seed", "3"});
  const std::string drawn = fs::directory_iterator(*dir / "demo")->path().filename();
  EXPECT_EQ(demo, (json{{"path", *dir / "demo"},
                        {"tasks", json::array({drawn})},
                        {"images_per_class", 2},
                        {"size", 16},
                        {"seed", 3}}));
}

// Statuses: 0 for what was done, 1 for input that is refused, 2 for a command that cannot be meant.
TEST_F(Numbers, every_command_ends_with_its_status) {
  const std::string backbone = *dir / "backbone.safetensors", data = *dir / "data", run = *dir / "run",
                    task = run + "/tasks/dots.safetensors", image = data + "/dots/val/class0/val0.ppm",
                    nothing = *dir / "nothing", out = *dir / "out.safetensors";
  struct Case {
    int status;
    words arguments;
  };
  const std::vector<Case> cases = {
      {1, {"train", "--backbone", backbone, "--data", nothing, "--run", nothing}},
      {1, {"train", "--backbone", nothing, "--data", data, "--run", nothing}},
      {2, {"train", "--backbone", backbone, "--data", data}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--epochs", "-1"}},
      {0, {"eval", "--run", run, "--data", data}},
      {1, {"eval", "--run", nothing, "--data", data}},
      {1, {"eval", "--run", run, "--data", nothing}},
      {1, {"eval", "--run", run, "--data", data, "--backbone", task}},
      {2, {"eval", "--run", run}},
      {2, {"eval", "--run", run, "--data", data, "--split", "all"}},
      {1, {"map", "--run", run, "--data", data}},  // too few validation images
      {1, {"map", "--run", nothing, "--data", data}},
      {2, {"map", "--run", run}},
      {0, {"predict", "--task", task, image}},
      {1, {"predict", "--task", task, nothing}},
      {1, {"predict", "--task", nothing, image}},
      {1, {"predict", "--run", run, image}},  // it has no map
      {2, {"predict", "--task", task, "--run", run, image}},
      {2, {"predict", "--task", task, image, "--top", "-1"}},
      {2, {"predict", "--task", task, image, "--csv", "--json"}},
      {1, {"forward", "--backbone", backbone, "--input", nothing, "--output", out}},
      {2, {"forward", "--backbone", backbone, "--input", nothing}},
      {1, {"pretrain", "--data", nothing, "--output", out}},
      {2, {"pretrain", "--data", data, "--output", out, "--size", "8"}},  // which of the tasks?
      {2, {"pretrain", "--data", data, "--task", "dots", "--output", out, "--arch", "none"}},
      {0, {"tasks", "--data", data}},
      {1, {"tasks", "--data", nothing}},
      {1, {"tasks", "--data", data, "--tasks", "none"}},
      {2, {"tasks", "--data", data, "--epoch", "1"}},
      {2, {"tasks", "--data", data, "--list", "dots", "--rng", "torch"}},
      {2, {"tasks", "--data", data, "--backbone", backbone}},
      {0, {"info", backbone}},
      {1, {"info", nothing}},
      {1, {"info", image}},
      {1, {"info", backbone, nothing}},
      {2, {"info", backbone, task, "--method", "clr"}},
      {2, {"info", backbone, "--classes", "3"}},
      {1, {"convert", nothing, out}},
      {1, {"convert", "--pack", "fold", backbone, out}},  // no task file
      {1, {"convert", "--full", task, task}},
      {2, {"convert", backbone, out, "--data", data}},
      {2, {"convert", backbone, out, "--classes", "a,b"}},
      {2, {"convert", "--pack", "none", task, out}},
      {2, {"convert", "--full", task, out, "--classes", "a,b,c"}},
      {0, {"report", run}},
      {1, {"report", nothing}},
      {1, {"report", run, "--html", nothing + "/page.html"}},
      {2, {"report"}},
      {1, {"reproduce", "--data", nothing, "--backbone", backbone, "--run", nothing}},
      {2, {"reproduce", "--data", nothing, "--method", "none"}},
      {2, {"reproduce"}},
      {1, {"audit", "verify", nothing}},
      {2, {"audit", "verify"}},
      {1, {"audit", "repeat", "--backbone", nothing, "--data", data}},
      {2, {"audit", "repeat", "--steps", "0"}},
      {1, {"audit", "layers", "--backbone", backbone, "--images", nothing}},
      {2, {"audit", "layers", "--backbone", backbone}},
      {1, {"audit", "nan", "--backbone", backbone, "--data", nothing}},
      {2, {"audit", "nan"}},
      {1, {"audit", "drift", "--backbone", backbone, "--data", nothing}},
      {2, {"audit", "drift", "--backbone", backbone}},
      {2, {"audit", "ops", "--backbone", backbone}},
      {2, {"audit", "grad", "--dtype", "bf16"}},
      {1, {"audit", "margin", "--task", task, "--images", nothing}},
      {2, {"audit", "margin", "--images", data}},
      {1, {"demo-data", data}},
      {2, {"demo-data", nothing, "--size", "8"}},
  };
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& word : c.arguments) line += word + " ";
    SCOPED_TRACE(line);
    words arguments = c.arguments;
    arguments.emplace_back("--quiet");
    const Outcome o = clr(arguments);
    EXPECT_EQ(o.status, c.status) << o.out << o.err;
    EXPECT_EQ(o.err.find("clr: ") != std::string::npos, c.status != 0) << o.err;
    EXPECT_EQ(o.err.find("unexpected"), std::string::npos) << o.err;
    EXPECT_EQ(o.err.find("internal error"), std::string::npos) << o.err;
    if (c.status == 2) {
      EXPECT_EQ(o.out, "");
    }
    if (c.status == 0) {
      EXPECT_NE(o.out, "");
    }
    EXPECT_FALSE(exists(nothing));
    EXPECT_FALSE(exists(out));
  }
}

}  // namespace
}  // namespace reprise::test
