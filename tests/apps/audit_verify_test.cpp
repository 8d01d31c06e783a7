// clr audit verify: every recorded condition, met and not met, and every way in which two task files differ.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Words = std::vector<std::string>;

class Verify : public testing::Test {
 protected:
  Verify() { write_tiny_backbone(dir / "backbone.safetensors"); }
  void task(const std::string& name) const { write_task(dir / "data", name, 2); }
  void train(Words more = {}, const std::string& epochs = "1") const {
    Words words{"train",     "--backbone", dir / "backbone.safetensors",
                "--data",    dir / "data", "--run",
                dir / "run", "--method",   "linear",
                "--size",    "8",          "--epochs",
                epochs,      "--device",   "cpu",
                "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome o = clr(words);
    ASSERT_EQ(o.status, 0) << o.err;
  }
  Outcome verify(Words more = {}) const {
    Words words{"audit", "verify", dir / "run", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  json verified(int status, Words more = {}) const {
    more.push_back("--json");
    const Outcome o = verify(more);
    EXPECT_EQ(o.status, status) << o.out << o.err;
    return json::parse(o.out);
  }
  // Returns a result's condition of this name; null if it has none.
  static json condition(const json& result, const std::string& name) {
    for (const json& c : result["conditions"])
      if (c["name"] == name) return c;
    return {};
  }
  static json met(const std::string& name, const json& fact, bool needed = true) {
    return {{"name", name}, {"recorded", fact}, {"here", fact}, {"needed", needed}, {"met", true}};
  }
  static json not_met(const std::string& name, const json& recorded, const json& here, bool needed = true) {
    return {{"name", name}, {"recorded", recorded}, {"here", here}, {"needed", needed}, {"met", false}};
  }
  // The record of the run's only call.
  std::string call_file() const {
    for (const auto& entry : fs::directory_iterator(dir / "run/log"))
      if (entry.path().extension() == ".json") return entry.path();
    return {};
  }
  json call() const { return json::parse(read_text(call_file())); }
  const TempDir dir;
};

TEST_F(Verify, a_fact_of_the_build_that_differs_is_told_and_compares_all_the_same) {
  task("dots");
  train();
  const json was = call();
  json changed = was, result = verified(0);
  for (const char* key : {"version", "compiler", "flags", "decoders"}) {
    EXPECT_EQ(condition(result, key), met(key, was[key], false));
    changed[key] = "another " + std::string(key);
  }
  write_text(call_file(), changed.dump());
  result = verified(0);
  for (const char* key : {"version", "compiler", "flags", "decoders"})
    EXPECT_EQ(condition(result, key), not_met(key, changed[key], was[key], false));
  EXPECT_EQ(result["same"], true);
  EXPECT_EQ(result["run"], dir / "run");
  EXPECT_EQ(result["tasks"],
            json::parse(fmt::format(R"([{{"name": "dots", "bytes": {}, "same": true, "difference": ""}}])",
                                    fs::file_size(dir / "run/tasks/dots.safetensors"))));
  // Such a fact is only shown where the bytes differ, as a possible reason.
  EXPECT_EQ(verify().out.find("differs, and may be"), std::string::npos);
  const auto file = data::read_weights(dir / "run/tasks/dots.safetensors");
  data::write_safetensors(dir / "run/tasks/dots.safetensors", {file.tensors[0]}, file.metadata);
  EXPECT_SAYS(verify().out,
              "differs, and may be the reason: version\n  recorded  another version\n  here      " +
                  was["version"].get<std::string>() + "\n");
}

TEST_F(Verify, a_needed_fact_that_differs_refuses) {
  task("dots");
  train();
  const json was = call();
  json result = verified(0);
  for (const auto& [name, key] : {std::pair("instruction set", "instruction_set"),
                                  {"winograd", "winograd"},
                                  {"bf16 order", "bf16_order"}}) {
    EXPECT_EQ(condition(result, name), met(name, was[key])) << key;
    json changed = was;
    changed[key] = "blocks";
    write_text(call_file(), changed.dump());
    result = verified(1);
    EXPECT_EQ(condition(result, name), not_met(name, "blocks", was[key])) << key;
    EXPECT_TRUE(result["tasks"].empty());
    EXPECT_EQ(result["same"], false);
    changed.erase(key);  // a record of an older clr
    write_text(call_file(), changed.dump());
    result = verified(name == std::string("bf16 order") ? 0 : 1);
    EXPECT_EQ(condition(result, name),
              key == std::string("bf16_order") ? json() : not_met(name, "(not recorded)", was[key]));
    write_text(call_file(), was.dump());
    result = verified(0);
  }
  // Two calls that computed in two ways.
  json second = was;
  second["winograd"] = "off";
  write_text(dir / "run/log/process-z-1.json", second.dump());
  EXPECT_EQ(condition(verified(1), "winograd"), not_met("winograd", "off and on", "on"));
  EXPECT_EQ(verified(0, {"--anyway"})["same"], true);
  EXPECT_SAYS(verify().out,
              "condition not met: winograd\n  recorded  off and on\n  here      on\n"
              "nothing was compared, because a condition is not met");
  // Two calls that read two places.
  second = was;
  second["data"] = dir.path();
  write_text(dir / "run/log/process-z-1.json", second.dump());
  EXPECT_SAYS(verify().err, "was called with several --data");
  EXPECT_EQ(verify({"--data", dir / "data"}).status, 0);
}

TEST_F(Verify, the_backbone_and_its_file_must_be_the_same) {
  task("dots");
  train();
  const json backbone = json::parse(read_text(dir / "run/run.json"))["backbone"];
  const auto with = [&](const std::string& file) { return Words{"--backbone", dir / file}; };
  json result = verified(0, with("backbone.safetensors"));
  EXPECT_EQ(condition(result, "backbone"), met("backbone", backbone["identity"]));
  EXPECT_EQ(condition(result, "backbone's file"), met("backbone's file", backbone["file_sha256"]));
  // The same weights in another file.
  ASSERT_EQ(clr({"convert", dir / "backbone.safetensors", dir / "b.pth"}).status, 0);
  result = verified(1, with("b.pth"));
  EXPECT_EQ(condition(result, "backbone"), met("backbone", backbone["identity"]));
  EXPECT_EQ(condition(result, "backbone's file"), not_met("backbone's file", backbone["file_sha256"],
                                                          data::read_weights(dir / "b.pth").file_sha256));
  EXPECT_TRUE(result["tasks"].empty());
  Words anyway = with("b.pth");
  anyway.push_back("--anyway");
  EXPECT_EQ(verified(0, anyway)["same"], true);
  // Other weights.
  write_tiny_backbone(dir / "other.safetensors", 7);
  result = verified(1, with("other.safetensors"));
  EXPECT_EQ(condition(result, "backbone")["recorded"], backbone["identity"]);
  EXPECT_NE(condition(result, "backbone")["here"], backbone["identity"]);
  EXPECT_TRUE(result["tasks"].empty());
}

TEST_F(Verify, the_files_of_init_and_order_must_be_the_same) {
  task("dots");
  train({}, "0");
  fs::rename(dir / "run", dir / "start");
  const std::string init = dir / "start/tasks/dots.safetensors", order = dir / "order";
  write_text(order, "2 1 0\n");
  train({"--init", init, "--order", order});
  const json recipe = json::parse(read_text(dir / "run/run.json"))["recipe"];
  json result = verified(0);
  EXPECT_EQ(condition(result, "file of --init"), met("file of --init", recipe["init"]));
  EXPECT_EQ(condition(result, "file of --order"), met("file of --order", recipe["order"]));
  write_text(order, "2 1 0 \n");
  result = verified(1);
  EXPECT_EQ(condition(result, "file of --init")["met"], true);
  EXPECT_EQ(condition(result, "file of --order")["met"], false);
  EXPECT_EQ(condition(result, "file of --order")["recorded"], recipe["order"]);
  EXPECT_EQ(verified(1, {"--anyway"})["same"], false) << "the recipe in the task file has the digest";
  write_text(order, "2 1 0\n");
  fs::remove(init);
  result = verified(1);
  EXPECT_EQ(condition(result, "file of --init"),
            not_met("file of --init", recipe["init"], init + ": no such file"));
  EXPECT_EQ(condition(result, "file of --order")["met"], true);
}

TEST_F(Verify, every_split_must_have_the_same_pixels) {
  for (const std::string split : {"train", "val", "test"}) task("dots/" + split);
  train();
  const std::string image = "/class1/1.ppm";
  const auto learned = reprise::clr::read_task_file(dir / "run/tasks/dots.safetensors").data_digests;
  for (const std::string split : {"train", "val", "test"}) {
    const std::string file = dir / ("data/dots/" + split + image), before = read_text(file);
    write_image(file, 8, 2, 99);
    const json result = verified(1);
    for (const std::string other : {"train", "val", "test"}) {
      const json c = condition(result, "data of dots, " + other);
      if (other != split) {
        EXPECT_TRUE(c.is_null());
        continue;
      }
      EXPECT_EQ(c["recorded"], learned.at(split));
      EXPECT_NE(c["here"], learned.at(split));
      EXPECT_EQ(c["met"], false);
      EXPECT_EQ(c["needed"], true);
    }
    EXPECT_TRUE(result["tasks"].empty());
    const json anyway = verified(1, {"--anyway"});
    EXPECT_EQ(anyway["tasks"].size(), 1u);
    EXPECT_EQ(anyway["same"], false) << "the digests lie in the task file";
    write_text(file, before);
  }
  // A split that is gone.
  fs::remove_all(dir / "data/dots/test");
  EXPECT_EQ(condition(verified(1), "data of dots, test"),
            not_met("data of dots, test", learned.at("test"), "(none)"));
}

TEST_F(Verify, computes_as_the_run_did) {
  task("dots");
  train({"--winograd", "off"});
  EXPECT_EQ(condition(verified(1), "winograd"), not_met("winograd", "off", "on"));
  EXPECT_EQ(verified(0, {"--winograd", "off"})["same"], true);
  for (const std::string order : {"pairs", "blocks"}) {
    fs::remove_all(dir / "run");
    train({"--dtype", "bf16", "--bf16-order", order});
    EXPECT_EQ(condition(verified(0), "bf16 order"), met("bf16 order", order));
    const std::string other = order == "pairs" ? "blocks" : "pairs";
    EXPECT_EQ(condition(verified(1, {"--bf16-order", other}), "bf16 order"),
              not_met("bf16 order", order, other));
  }
  // 16-bit grey, scaled or clipped.
  fs::remove_all(dir / "run");
  for (const std::string c : {"0", "1", "2"})
    for (const std::string i : {"0", "1"})
      write_text(dir / ("data/dots/class" + c + "/" + i + ".ppm"), "P5 1 1 65535\n" + c + i);
  train();
  verified(0);
  json changed = call();
  changed["clip_grey16"] = true;
  write_text(call_file(), changed.dump());
  const json result = verified(1);
  EXPECT_EQ(condition(result, "data of dots, train")["met"], false);
}

TEST_F(Verify, says_what_it_costs_and_where_the_data_were) {
  task("dots");
  task("lines");
  train();
  for (const auto& [name, seconds] : {std::pair("dots", "70"), {"lines", "20"}}) {
    const std::string log = dir / ("run/log/" + std::string(name) + ".csv");
    std::string text = read_text(log);
    text.resize(text.rfind(',') + 1);
    write_text(log, text + seconds + "\n");
  }
  EXPECT_SAYS(clr({"audit", "verify", dir / "run"}).err,
              "trains 2 tasks again in a scratch folder, 6 images, at most 1 epochs; the first training took "
              "1m30s in all");
  // Two calls read data from folders that are gone. The first one's is named.
  json moved = call();
  moved["data"] = dir / "first";
  write_text(call_file(), moved.dump());
  moved["data"] = dir / "second";
  write_text(dir / "run/log/process-z-1.json", moved.dump());
  EXPECT_SAYS(verify().err, dir / "first");
}

// Each task's file is changed in another way. One call names the first difference of each.
TEST_F(Verify, says_in_which_way_a_task_file_differs) {
  using Change = std::function<void(std::vector<data::NamedTensor>&, std::map<std::string, std::string>&)>;
  const auto head = [](std::vector<data::NamedTensor>& tensors) -> Tensor& {
    for (auto& [name, tensor] : tensors)
      if (name == "linear.weight") return tensor;
    throw std::runtime_error("no linear.weight");
  };
  const std::vector<std::tuple<std::string, Change, std::string>> cases = {
      {"bit", [&](auto& t, auto&) { head(t).template mutable_data<float>()[5] = 3; },
       "linear.weight: element [0, 5] was 3 and is "},
      {"bits",
       [&](auto& t, auto&) {
         for (auto& [name, tensor] : t) tensor.template mutable_data<float>()[1] = 3;
       },
       "; 2 tensors differ in all"},
      {"dtype", [&](auto& t, auto&) { head(t) = head(t).to(DType::f64); },
       "linear.weight: was [3, 64]  f64 cpu and is [3, 64]  f32 cpu"},
      {"key", [](auto&, auto& metadata) { metadata["added"] = "x"; }, "the same tensors in other bytes"},
      {"less", [](auto& t, auto&) { t.erase(t.begin()); }, "is not in the run's file"},
      {"more",
       [](auto& t, auto&) {
         t.push_back({"more", zeros({1})});
       },
       "more: only in the run's file"},
      {"same", [](auto&, auto&) {}, ""},
      {"shape",
       [&](auto& t, auto&) {
         head(t) = head(t).viewed_as({64, 3});
       },
       "linear.weight: was [64, 3]  f32 cpu and is [3, 64]  f32 cpu"},
      {"text", [](auto&, auto& metadata) { metadata["best_epoch"] = "7"; },
       "metadata 'best_epoch' was 7 and is 1"},
      {"without", [](auto&, auto& metadata) { metadata.erase("images"); },
       "metadata 'images' was absent and is {"}};
  for (const auto& [name, change, says] : cases) task(name);
  train();
  for (const auto& [name, change, says] : cases) {
    const std::string path = dir / ("run/tasks/" + name + ".safetensors");
    auto file = data::read_weights(path);
    std::vector<data::NamedTensor> tensors;
    for (const auto& t : file.tensors) tensors.push_back({t.name, t.tensor.clone()});
    change(tensors, file.metadata);
    data::write_safetensors(path, tensors, file.metadata);
  }
  const Outcome o = verify({"--json"});
  EXPECT_EQ(o.status, 1);
  const json result = json::parse(o.out);
  ASSERT_EQ(result["tasks"].size(), cases.size()) << o.err;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& [name, change, says] = cases[i];
    const json& task = result["tasks"][i];
    EXPECT_EQ(task["name"], name);
    EXPECT_EQ(task["same"], says.empty()) << name;
    EXPECT_EQ(task["difference"].get<std::string>().empty(), says.empty()) << name;
    EXPECT_SAYS(task["difference"].get<std::string>(), says);
  }
  fs::create_directory(dir / "scratch");
  EXPECT_EQ(verified(0, {"--tasks", "same", "--scratch", dir / "scratch"})["tasks"].size(), 1u);
  EXPECT_TRUE(fs::is_empty(dir / "scratch"));
}

}  // namespace
}  // namespace reprise::test
