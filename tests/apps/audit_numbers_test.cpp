// The numbers of clr audit: the same in JSON and in tables, and counted again from what is dumped.
#include "layers/network.h"
#include "tests/apps/numbers.h"

namespace reprise::test {
namespace {

class AuditNumbers : public Numbers {
 protected:
  static words trial(const std::string& part, const words& more) {
    words all{"audit",  part,          "--backbone", *dir / "backbone.safetensors",
              "--data", *dir / "data", "--task",     "dots",
              "--size", "8",           "--batch",    "5",
              "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static Rows rows_of(const words& arguments) { return printed_rows(clr(arguments).out); }
  static std::string short_number(double number, const char* format = "%.3g") {
    char shown[32];
    std::snprintf(shown, sizeof shown, format, number);
    return shown;
  }
};

TEST_F(AuditNumbers, verify_says_what_it_compared) {
  const words command{"audit", "verify", *dir / "run", "--scratch", *dir / ".", "--quiet"};
  const json j = json_of(command);
  const std::string task = *dir / "run/tasks/dots.safetensors";
  EXPECT_EQ(j["run"], *dir / "run");
  EXPECT_EQ(j["same"], true);
  EXPECT_EQ(j["tasks"],
            (json{{{"name", "dots"}, {"bytes", fs::file_size(task)}, {"same", true}, {"difference", ""}}}));
  std::map<std::string, json> conditions;
  for (const json& c : j["conditions"]) {
    EXPECT_EQ(c["met"], true) << c;
    EXPECT_EQ(c["recorded"], c["here"]) << c;
    conditions[c["name"]] = c;
  }
  EXPECT_EQ(conditions.at("backbone's file")["recorded"], sha256_of(*dir / "backbone.safetensors"));
  EXPECT_EQ(conditions.at("backbone")["needed"], true);
  EXPECT_EQ(conditions.at("instruction set")["needed"], true);
  const Cells row{"dots", shown_count(static_cast<long long>(fs::file_size(task))), "the same bytes"};
  EXPECT_EQ(rows_of(command).at(1), row);
}

TEST_F(AuditNumbers, repeat_and_nan_count_steps_kernels_and_values) {
  const json j = json_of(trial("repeat", {"--steps", "2", "--thread-counts", "1,3", "--threads", "2"}));
  const Rows rows = rows_of(trial("repeat", {"--steps", "2", "--thread-counts", "1,3", "--threads", "2"}));
  EXPECT_EQ(j["same"], true);
  ASSERT_EQ(j["runs"].size(), 4u);
  ASSERT_EQ(rows.size(), 5u);
  for (std::size_t i = 0; i < 4; ++i) {
    const json& run = j["runs"][i];
    EXPECT_EQ(run["steps"], 2);
    EXPECT_EQ(run["kernels"], j["runs"][0]["kernels"]);
    EXPECT_EQ(run["values"], j["runs"][0]["values"]);
    EXPECT_GT(run["values"], 100000);
    EXPECT_EQ(run["same"], true);
    EXPECT_EQ(rows[1 + i],
              (Cells{run["name"], "2", shown_count(run["kernels"]), i == 0 ? "-" : shown_count(run["values"]),
                     i == 0 ? "(what the others are compared with)" : "the same bits"}));
  }
  const json nan = json_of(trial("nan", {"--steps", "3"}));
  EXPECT_EQ(nan["steps"], 3);
  EXPECT_EQ(nan["finite"], true);
  EXPECT_EQ(nan["anomaly"], "");
  Rows expected;
  for (const json& k : nan["kernels"]) {
    EXPECT_LE(k["min"], k["max"]) << k;
    if (k["values"] > 0)
      expected.push_back({k["name"], shown_count(k["calls"]), shown_count(k["values"]),
                          short_number(k["min"]), short_number(k["max"])});
    if (k["name"] == "adam_step") {
      EXPECT_EQ(k["calls"].get<int>() % 3, 0) << k;
    }
  }
  ASSERT_GT(expected.size(), 5u);
  Rows printed = rows_of(trial("nan", {"--steps", "3"}));
  EXPECT_EQ(printed.back(), Cells{"3 steps: every value is finite"});
  printed.erase(printed.begin()), printed.pop_back();
  EXPECT_EQ(printed, expected);
  const json broken = json_of(trial("nan", {"--steps", "3", "--lr", "1e30"}), 1);
  EXPECT_EQ(broken["finite"], false);
  EXPECT_LT(broken["steps"], 3);
}

TEST_F(AuditNumbers, layers_describe_the_values_that_they_dump) {
  const words command{"audit",
                      "layers",
                      "--backbone",
                      *dir / "backbone.safetensors",
                      "--images",
                      *dir / "data/dots/val",
                      "--size",
                      "8",
                      "--count",
                      "3",
                      "--device",
                      "cpu",
                      "--quiet",
                      "--dump",
                      *dir / "dump.safetensors"};
  const json j = json_of(command);
  const Rows rows = rows_of(command);
  const data::WeightFile dump = data::read_weights(*dir / "dump.safetensors");
  EXPECT_EQ(j["computed"].get<std::string>().substr(0, 7), "cpu f32");
  EXPECT_EQ(j["reference"], "ref f64");
  EXPECT_EQ(j["images"].size(), 3u);
  EXPECT_NEAR(j["loss"].get<double>() / j["reference_loss"].get<double>(), 1, 1e-5);
  std::string column = j["computed"];
  std::replace(column.begin(), column.end(), ' ', '_');
  std::size_t described = 0;
  for (std::size_t i = 0; i < j["layers"].size(); ++i) {
    const json& layer = j["layers"][i];
    for (const char* kind : {"activation", "gradient"}) {
      if (!layer.contains(kind)) continue;
      const json& said = layer[kind];
      const std::string name = layer["layer"];
      const Tensor* found = dump.find(column + "." + kind + "." + name);
      const Tensor* exact = dump.find("ref_f64." + std::string(kind) + "." + name);
      ASSERT_TRUE(found != nullptr && exact != nullptr) << name;
      double least = HUGE_VAL, most = -HUGE_VAL, sum = 0, zeros = 0, off = 0, squares = 0;
      for (std::int64_t k = 0; k < found->numel(); ++k) {
        const auto x = static_cast<double>(found->data<float>()[k]);
        least = std::min(least, x), most = std::max(most, x), sum += x, zeros += x == 0;
        off += std::pow(x - exact->data<double>()[k], 2), squares += std::pow(exact->data<double>()[k], 2);
      }
      const auto n = static_cast<double>(found->numel());
      EXPECT_EQ(said["values"], found->numel()) << layer;
      EXPECT_EQ(said["min"], least) << layer;
      EXPECT_EQ(said["max"], most) << layer;
      EXPECT_NEAR(said["mean"].get<double>(), sum / n, 1e-6 * (most - least)) << layer;
      EXPECT_NEAR(said["zero_share"].get<double>(), zeros / n, 1e-12) << layer;
      EXPECT_EQ(said["not_finite"], 0) << layer;
      const double error = layer[std::string(kind) == "gradient" ? "gradient_error" : "error"];
      EXPECT_NEAR(error, std::sqrt(off / squares), 1e-9 + 1e-6 * error) << layer;
      ++described;
    }
    const Cells& row = rows.at(1 + i);
    ASSERT_EQ(row.size(), 11u);
    const json& a = layer["activation"];
    EXPECT_EQ((Cells{row[0], row[1], row[5], row[6], row[7], row[8], row[9]}),
              (Cells{layer["layer"], layer["type"], short_number(a["min"]), short_number(a["max"]),
                     short_number(a["mean"], "%.2g"), shown_share(a["zero_share"]), "0"}));
    const auto error_text = [](const json& error) -> std::string {
      return error.is_null() ? "-" : error == 0 ? "0" : short_number(error, "%.1e");
    };
    EXPECT_EQ((Cells{row[2], row[3], row[4]}),
              (Cells{error_text(layer["own_error"]), error_text(layer["error"]),
                     error_text(layer.value("gradient_error", json()))}));
    if (layer["type"] == "Conv2d") {
      EXPECT_TRUE(layer["own_error"].is_number()) << layer;
    }
    if (layer.contains("gradient")) {
      EXPECT_EQ(row[10], short_number(std::max(-layer["gradient"]["min"].get<double>(),
                                               layer["gradient"]["max"].get<double>()),
                                      "%.2g"));
    }
  }
  EXPECT_GT(described, 80u);
}

TEST_F(AuditNumbers, layers_take_the_recorded_size_and_a_head_that_is_there) {
  const auto layers = [](const std::string& backbone, const words& more) {
    words all{"audit",      "layers", "--images", *dir / "data/dots/val",
              "--backbone", backbone, "--count",  "1",
              "--device",   "cpu",    "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const std::string whole = *dir / "backbone.safetensors", headless = *dir / "headless.safetensors",
                    task = *dir / "run/tasks/dots.safetensors";
  std::vector<data::NamedTensor> tensors = tiny_backbone();
  std::erase_if(tensors, [](const data::NamedTensor& t) { return t.name.starts_with("linear."); });
  data::write_safetensors(headless, tensors);
  for (const auto& [backbone, more, side, classes] :
       {std::tuple(whole, words{}, 32, 10),
        {whole, words{"--size", "12"}, 12, 10},
        {whole, words{"--task", task}, 8, 3},
        {whole, words{"--task", task, "--size", "12"}, 12, 3},
        {headless, words{"--method", "clr", "--size", "8"}, 8, 10}}) {
    const json rows = json_of(layers(backbone, more))["layers"];
    EXPECT_EQ(rows.front()["shape"], json::array({1, side, side, 16}));
    EXPECT_EQ(rows.back()["shape"], json::array({1, classes}));
  }
  const Outcome o = clr(layers(headless, {"--size", "8"}));
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, headless + " has no head of its own, so no loss; give --task or --method");
}

// Three batch norms whose factors' product is too large for f32, after one whose factor is tiny.
TEST_F(AuditNumbers, layers_fail_where_only_gradients_overflow) {
  std::vector<data::NamedTensor> tensors = tiny_backbone();
  for (auto& [name, tensor] : tensors)
    for (const auto& [layer, factor] :
         {std::pair("bn1", 1e-36F), {"layer1.0.bn1", 1e20F}, {"layer1.0.bn2", 1e22F}})
      for (std::int64_t i = 0; i < tensor.numel(); ++i) {
        if (name == layer + std::string(".weight")) tensor.mutable_data<float>()[i] = factor;
        if (name == layer + std::string(".bias")) tensor.mutable_data<float>()[i] = 0;
        if (name == layer + std::string(".running_mean")) tensor.mutable_data<float>()[i] = 0;
      }
  data::write_safetensors(*dir / "steep.safetensors", tensors);
  const json j = json_of(
      {"audit", "layers", "--images", *dir / "data/dots/val", "--backbone", *dir / "steep.safetensors",
       "--count", "4", "--size", "8", "--device", "cpu", "--eval", "--quiet"},
      1);
  int overflown = 0;
  for (const json& row : j["layers"]) {
    EXPECT_EQ(row["activation"]["not_finite"], 0) << row;
    if (row.contains("gradient")) overflown += row["gradient"]["not_finite"].get<int>();
  }
  EXPECT_GT(overflown, 0);
}

TEST_F(AuditNumbers, ops_print_the_same_in_a_table_and_count_every_step) {
  const json one = json_of(trial("ops", {}));
  const Rows rows = rows_of(trial("ops", {}));
  const auto ulps = [](double number) { return short_number(number, number < 100 ? "%.2f" : "%.2g"); };
  std::map<std::string, int> calls;
  for (std::size_t i = 0; i < one["kernels"].size(); ++i) {
    const json& k = one["kernels"][i];
    calls[k["kernel"]] = k["calls"];
    EXPECT_EQ(rows.at(1 + i),
              (Cells{k["kernel"], k["ran_on"], shown_count(k["calls"]), shown_count(k["values"]),
                     ulps(k["largest_ulps"]), k["values"] > 0 ? ulps(k["mean_ulps"]) : "-",
                     short_number(k["largest_relative"], "%.1e"), shown_share(k["share_of_allowance"], 2)}));
  }
  const json three = json_of(trial("ops", {"--steps", "3"}));
  const auto adam =
      std::ranges::find_if(three["kernels"], [](const json& k) { return k["kernel"] == "adam_step"; });
  ASSERT_NE(adam, three["kernels"].end());
  EXPECT_EQ((*adam)["calls"], 3 * calls["adam_step"]);
}

TEST_F(AuditNumbers, drift_shows_the_first_steps_and_then_every_tenth) {
  for (const auto& [steps, shown] :
       {std::pair("1", Cells{"1", "off, to step 1"}),
        {"3", Cells{"1", "2", "3", "off, to step 1", "off, to step 3"}},
        {"10", Cells{"1", "2", "5", "10", "off, to step 1", "off, to step 10"}},
        {"12", Cells{"1", "2", "5", "10", "12", "off, to step 1", "off, to step 10", "off, to step 12"}}}) {
    Cells first;
    for (const Cells& row : rows_of(trial("drift", {"--only", "--device", "cpu", "--steps", steps})))
      if (row.size() == 2 && row[0] != "step" && row[0][0] != '-') first.push_back(row[0]);
    EXPECT_EQ(first, shown);
  }
}

// A batch larger than the task takes all its images at once.
TEST_F(AuditNumbers, a_step_needs_memory_for_the_images_that_there_are) {
  words all = trial("nan", {"--steps", "1"});
  *std::ranges::find(all, "5") = "1000000000";
  const json j = json_of(all);
  EXPECT_EQ(j["finite"], true);
  const auto pixels =
      std::ranges::find_if(j["kernels"], [](const json& k) { return k["name"] == "normalize_images"; });
  ASSERT_NE(pixels, j["kernels"].end());
  EXPECT_EQ((*pixels)["values"], 15 * 8 * 8 * 3);
}

TEST_F(AuditNumbers, repeat_says_how_much_memory_its_networks_take) {
  const auto memory = [](const std::string& counts) {
    words all = trial("repeat", {"--steps", "1", "--thread-counts", counts});
    std::erase(all, "--quiet");
    const Outcome o = clr(all);
    EXPECT_SAYS(o.err, " MiB of memory");
    return std::strtod(between(o.err, "writes; about ", " MiB").c_str(), nullptr);
  };
  // As many networks as counts, and four more.
  EXPECT_NEAR(memory("1,2") / memory("1"), 6 / 5., 0.01);
}

// Two classes whose answers differ by less than f32 can tell, and a probable bound that is far too small.
TEST_F(AuditNumbers, margin_fails_if_a_variant_changes_a_certified_class) {
  reprise::clr::TaskFile task = reprise::clr::read_task_file(*dir / "run/tasks/dots.safetensors");
  for (auto& [name, tensor] : task.tensors) {
    if (name == "linear.weight")
      std::ranges::copy(ones({3 * 64}).values<float>(), tensor.mutable_data<float>());
    if (name == "linear.bias")
      std::ranges::copy(std::vector<float>{0, 1e-12F, -10}, tensor.mutable_data<float>());
  }
  reprise::clr::write_task_file(*dir / "near.safetensors", task);
  const json j =
      json_of({"audit", "margin", "--task", *dir / "near.safetensors", "--images", *dir / "data/dots/val",
               "--count", "1", "--lambda", "1e-9", "--variants", "--quiet"},
              1);
  EXPECT_EQ(j["tasks"][0]["images"][0]["certified"], "probably");
  for (const json& variant : j["variants"]) {
    EXPECT_LE(variant["largest_of_worst"], 1) << variant;
    EXPECT_EQ(variant["though_certified"], 1) << variant;
  }
}

TEST_F(AuditNumbers, margin_counts_what_it_lists) {
  const words command{"audit",   "margin", "--run",    *dir / "run", "--images", *dir / "data",
                      "--count", "5",      "--device", "cpu",        "--quiet"};
  const json j = json_of(command);
  EXPECT_EQ(json::parse(text("run/margins.json")), j);
  fs::remove(*dir / "run/margins.json");
  EXPECT_EQ(j["bounds"], "f32");
  EXPECT_EQ(j["computed"], "cpu f32");
  EXPECT_GT(j["lambda"], 1);
  ASSERT_EQ(j["tasks"].size(), 1u);
  const json& task = j["tasks"][0];
  EXPECT_EQ(task["task"], "dots");
  EXPECT_EQ(task["sha256"], sha256_of(*dir / "run/tasks/dots.safetensors"));
  ASSERT_EQ(task["images"].size(), 5u);
  words predict{"predict", "--device", "cpu", "--task", *dir / "run/tasks/dots.safetensors"};
  for (const json& image : task["images"]) predict.push_back(image["path"]);
  const json told = json_of(predict);
  // predict says the same of each image, in three forms.
  predict.insert(predict.end(), {"--certify", "--top", "1", "--quiet"});
  const json certified = json_of(predict)["images"];
  const Rows table = rows_of(predict);
  predict.emplace_back("--csv");
  const Rows csv = csv_cells(clr(predict).out);
  EXPECT_EQ(csv.at(0), (Cells{"image", "rank", "class", "probability", "certified"}));
  EXPECT_EQ(table.at(0), (Cells{"image", "class", "probability", "certified"}));
  for (std::size_t i = 0; i < 5; ++i) {
    const std::string verdict = certified[i]["certified"];
    EXPECT_EQ(verdict, task["images"][i]["certified"]);
    EXPECT_EQ(csv.at(1 + i).at(4), verdict);
    EXPECT_EQ(table.at(1 + i).at(3), verdict);
  }
  int worst[2] = {}, probable[2] = {}, images[2] = {};  // of all, and of those in their class's folder
  std::vector<double> margins, bounds;
  const Rows rows = rows_of(command);
  for (std::size_t i = 0; i < 5; ++i) {
    const json &image = task["images"][i], &answers = told["images"][i]["predictions"];
    const std::string path = image["path"], folder = fs::path(path).parent_path().filename();
    EXPECT_NE(path.find("/dots/test/"), std::string::npos) << "the images that no epoch was chosen by";
    EXPECT_EQ(image["class"], answers[0]["class"]);
    EXPECT_NE(image["rival"], image["class"]);
    const double margin = image["margin"], bound = image["worst"], likely = image["probable"];
    // The margin to the class whose lead is nearest to its bound: as a rule the second.
    for (const json& answer : answers)
      if (answer["class"] == image["rival"]) {
        EXPECT_NEAR(margin,
                    std::log(answers[0]["probability"].get<double>() / answer["probability"].get<double>()),
                    1e-3);
      }
    EXPECT_TRUE(0 < likely && likely < bound) << image;
    EXPECT_EQ(image["certified"], margin > bound ? "yes" : margin > likely ? "probably" : "no");
    for (const int own : {0, 1})
      if (own == 0 || image["class"] == folder)
        ++images[own], worst[own] += margin > bound, probable[own] += margin > likely;
    margins.push_back(margin), bounds.push_back(bound);
    EXPECT_EQ(rows.at(1 + i), (Cells{path, image["class"], image["rival"], short_number(margin),
                                     short_number(bound), short_number(likely), image["certified"]}));
  }
  for (const int own : {0, 1})
    EXPECT_EQ(task[own == 0 ? "certified" : "certified_correct"],
              (json{{"images", images[own]}, {"worst", worst[own]}, {"probable", probable[own]}}));
  std::sort(margins.begin(), margins.end()), std::sort(bounds.begin(), bounds.end());
  EXPECT_EQ(task["median_margin"], margins[2]);
  EXPECT_EQ(task["median_worst"], bounds[2]);
  double sum = 0, before = 1;
  for (const json& layer : task["layers"]) {
    const double share = layer["share"];
    EXPECT_LE(share, before) << layer;
    before = share, sum += share;
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(rows.at(6).at(0), "dots: of 5 images certified " + shown_share(worst[0] / 5.0) + " worst case, " +
                                  shown_share(probable[0] / 5.0) + " probably");
  const Cells first{shown_share(task["layers"][0]["share"]) +
                    " of the worst bounds: " + task["layers"][0]["layer"].get<std::string>()};
  EXPECT_NE(std::find(rows.begin(), rows.end(), first), rows.end());
}

}  // namespace
}  // namespace reprise::test
