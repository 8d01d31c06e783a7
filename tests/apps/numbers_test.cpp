// What training writes and prints: logs, tables, JSON, the page and the run folder say the same.
#include "tests/apps/numbers.h"

namespace reprise::test {
namespace {

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
  // The small picture of validation only, and the strip beside the accuracy.
  std::string small;
  for (std::size_t e = 0; e < 5; ++e) add(small, 34 + 39.5 * static_cast<double>(e), 100 - 92 * log[e][5]);
  for (const Element& e : elements_of(picture_called(page, "Validation accuracy of dots</title>"))) {
    if (e.name == "polyline") {
      EXPECT_EQ(e.at("points"), small);
    }
    if (e.name == "circle") {
      EXPECT_EQ(e.number("cx"), 34 + 39.5 * (task["best_epoch"].get<double>() - 1));
    }
  }
  for (const char* title : {"Accuracy of dots</title>", "Mean accuracy</title>"}) {
    const auto strip = elements_of(picture_called(page, title));
    ASSERT_GE(strip.size(), 8u);
    EXPECT_EQ(strip.back().name, "circle");
    EXPECT_NEAR(strip.back().number("cx"), 6 + 228 * task["test_accuracy"].get<double>(), 0.051);
    EXPECT_EQ(strip[strip.size() - 2].at("class"), "chance");
    EXPECT_EQ(strip[strip.size() - 2].number("x1"), 82);
  }
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
  std::vector<json> calls = process_records(*dir / "run");
  std::ranges::stable_sort(calls, {}, [](const json& call) { return call["started"].get<std::string>(); });
  EXPECT_SAYS(page,
              calls.front()["started"].get<std::string>() + ", " + calls.back()["ended"].get<std::string>());
  Rows digests{{"task", "split", "SHA-256 of labels and pixels"}};
  for (const auto& [split, digest] : file.data_digests) digests.push_back({"dots", split, digest});
  EXPECT_EQ(html_rows(between(page, "Digests of the data", "</table>")), digests);
  EXPECT_EQ(digests.size(), 4u);
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
  EXPECT_EQ(record["invocations"], json::array({begun}));
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

}  // namespace
}  // namespace reprise::test
