// What the commands say on standard error and in single lines of their output, and what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/predict.h"
#include "apps/clr/commands/progress.h"
#include "apps/clr/learn/task_file.h"
#include "data/loader/image_store.h"
#include "data/weights/weight_file.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

// A run that learned the task dots; the run folder is made once.
class CommandLines : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    for (const char* data : {"data", "other"}) write_task(*dir / data, "dots");
    for (int label = 0; label < 3; ++label)
      for (int i = 0; i < 6; ++i)
        write_image(*dir / "other/dots/class" + std::to_string(label) + "/" + std::to_string(i) + ".ppm", 8,
                    label, static_cast<std::uint64_t>(100 + i));
    fs::create_directory_symlink(*dir / "data/dots/class0", *dir / "data/dots/class0/link");  // a note
    const Outcome o =
        clr({"train", "--backbone", *dir / "backbone.safetensors", "--data", *dir / "data", "--run",
             *dir / "run", "--device", "cpu", "--size", "8", "--epochs", "1", "--method", "linear"});
    ASSERT_EQ(o.status, 0) << o.err;
  }
  static void TearDownTestSuite() {
    delete dir;
    dir = nullptr;
  }
  static bool says(const Outcome& o, const std::string& part) {
    return (o.out + o.err).find(part) != std::string::npos;
  }
  const std::string data = *dir / "data", run = *dir / "run", task = run + "/tasks/dots.safetensors",
                    backbone = *dir / "backbone.safetensors", out = *dir / "out.safetensors",
                    note = "leads back to a folder around it";
  inline static TempDir* dir = nullptr;
};

TEST_F(CommandLines, a_share_to_validate_on_lies_between_0_and_1) {
  for (const auto& [share, taken] : {std::pair("0.001", true),
                                     {"0.999", true},
                                     {"0", false},
                                     {"1", false},
                                     {"-0.5", false},
                                     {"2", false},
                                     {"0.5x", false},
                                     {"half", false}}) {
    const Outcome o = clr({"tasks", "--data", data, "--val-fraction=" + std::string(share)});
    EXPECT_EQ(o.status, taken ? 0 : 2) << share;
    EXPECT_EQ(says(o, "expected a number between 0 and 1, got " + std::string(share)), !taken) << o.err;
  }
}

TEST_F(CommandLines, tasks_lists_an_epoch_from_0_of_one_task) {
  const Outcome none = clr({"tasks", "--data", data, "--epoch", "0"});
  EXPECT_EQ(none.status, 2);
  EXPECT_SAYS(none.err, "--epoch: needs --list TASK");
  const auto listed = [&](const words& more) {
    words command{"tasks", "--data", data, "--json", "--list", "dots"};
    command.insert(command.end(), more.begin(), more.end());
    return json::parse(clr(command).out);
  };
  for (const int epoch : {0, 1}) EXPECT_EQ(listed({"--epoch", std::to_string(epoch)})["epoch"], epoch);
  EXPECT_FALSE(listed({}).contains("epoch"));
  EXPECT_EQ(clr({"tasks", "--data", data, "--method", "none such"}).status, 2);
}

TEST_F(CommandLines, tasks_opens_the_images_unless_told_not_to) {
  write_task(*dir / "damaged", "dots");
  write_text(*dir / "damaged/dots/class0/short.ppm", "P6\n8 8\n255\nshort");
  words command{"tasks", "--data", *dir / "damaged", "--json"};
  EXPECT_EQ(json::parse(clr(command).out)["tasks"][0]["unreadable"].size(), 1u);
  command.emplace_back("--no-check");
  EXPECT_EQ(json::parse(clr(command).out)["tasks"][0]["unreadable"].size(), 0u);
}

TEST_F(CommandLines, notes_of_a_task_are_told_where_tasks_are_looked_for) {
  for (const auto& [command, told] :
       {std::pair(words{"tasks", "--data", data}, true),
        {words{"tasks", "--data", data, "--quiet"}, false},
        {words{"eval", "--run", run, "--data", data}, false},
        {words{"convert", task, out, "--pack", "fold", "--data", data}, false},
        {words{"audit", "margin", "--task", task, "--images", data + "/dots/class0"}, false}}) {
    const Outcome o = clr(command);
    EXPECT_EQ(o.status, 0) << o.err;
    EXPECT_EQ(says(o, note), told) << command[0] << o.err;
  }
}

TEST_F(CommandLines, one_task_has_nothing_before_it_to_forget) {
  const Outcome o = clr({"eval", "--run", run, "--data", data});
  EXPECT_SAYS(o.out, ", BWT -; FWT is undefined");
  EXPECT_SAYS(clr({"eval", "--run", run, "--data", data, "--split", "train"}).out, "ACC ");
  const Outcome json_out = clr({"eval", "--run", run, "--data", data, "--split", "train", "--json"});
  const json j = json::parse(json_out.out);
  for (const char* key : {"learned", "forgetting", "bwt"}) EXPECT_TRUE(j[key].is_null()) << key;
  EXPECT_EQ(says(clr({"eval", "--run", run, "--data", data, "--split", "train"}), "nan"), false);
}

TEST_F(CommandLines, quiet_leaves_out_what_a_command_computes_with) {
  data::write_safetensors(*dir / "in.safetensors", {{"images", noise_images(1, 32)}});
  auto body = tiny_backbone();
  std::erase_if(body, [](const data::NamedTensor& t) { return t.name.starts_with("linear."); });
  data::write_safetensors(*dir / "body.safetensors", body);
  const words forward{"forward", "--input", *dir / "in.safetensors", "--output", out, "--backbone"};
  for (const char* file : {"backbone.safetensors", "body.safetensors"}) {
    words command = forward;
    command.push_back(*dir / file);
    const Outcome told = clr(command);
    EXPECT_EQ(told.status, 0) << told.err;
    EXPECT_SAYS(told.err, "device cpu");
    EXPECT_SAYS(told.err, *dir / file + ": ");
    EXPECT_EQ(says(told, "no head of its own"), file == std::string("body.safetensors"));
    command.emplace_back("--quiet");
    EXPECT_EQ(clr(command).err, "");
  }
  words pack{"convert", task, out, "--pack", "fold", "--device", "cpu"};
  EXPECT_SAYS(clr(pack).err, "device cpu, dtype f32");
  pack.emplace_back("--quiet");
  EXPECT_EQ(clr(pack).err, "");
}

// The second answer is larger by less than f16 keeps.
TEST_F(CommandLines, a_packed_task_is_compared_image_by_image) {
  clr::TaskFile file = clr::read_task_file(task);
  for (auto& [name, tensor] : file.tensors) {
    if (name == "linear.weight") tensor = zeros(tensor.shape());
    if (name == "linear.bias") tensor = reprise::tensor({3}, {1, 1.0001F, 0});
  }
  clr::write_task_file(run + "/tasks/near.safetensors", file);
  const words command{"convert", run + "/tasks/near.safetensors", out, "--pack", "f16", "--data"};
  for (const char* where : {"data", "other"}) {
    words with = command;
    with.push_back(*dir / where);
    const bool same = where == std::string("data");
    EXPECT_EQ(says(clr(with), "3 validation images" + std::string(same ? ": " : " (others than the task ")),
              true);
    with.emplace_back("--json");
    const Outcome o = clr(with);
    ASSERT_EQ(o.status, 0) << o.err;
    const json val = json::parse(o.out)["val"];
    EXPECT_EQ(val["images"], 3);
    EXPECT_EQ(val["flipped"], 3);
    EXPECT_NEAR(val["largest_change"].get<double>(), 1e-4, 1e-6);
    EXPECT_NEAR(val["packed_accuracy"].get<double>(), 1.0 / 3, 1e-12);
    EXPECT_EQ(val["same_data"], same);
  }
  fs::remove(run + "/tasks/near.safetensors");
  EXPECT_EQ(clr::read_task_file(out).recipe, "{}") << "a packed file holds what prediction needs";
}

TEST_F(CommandLines, a_whole_network_says_under_whose_names_it_is) {
  const Outcome o = clr({"convert", task, out, "--full"});
  EXPECT_EQ(o.out, task + " -> " + out + ": resnet20 with linear, " +
                       std::to_string(data::read_weights(out).tensors.size()) +
                       " tensors under the architecture's names\n");
  EXPECT_TRUE(data::read_weights(out).metadata.contains("reprise.format"));
}

TEST_F(CommandLines, images_are_decoded_in_parts_of_2048) {
  const std::string image = data + "/dots/class0/0.ppm";
  for (const auto& [images, parts] :
       {std::pair(2048u, std::vector<std::int64_t>{2048}), {2050u, {2048, 2}}}) {
    std::vector<std::int64_t> counts;
    clr::for_images(std::vector<std::string>(images, image), 8,
                    [&](const data::ImageStore& part) { counts.push_back(part.count()); });
    EXPECT_EQ(counts, parts);
  }
}

TEST_F(CommandLines, predict_needs_images_a_run_and_numbers) {
  fs::create_directories(*dir / "empty");
  for (const auto& [command, said] :
       {std::pair(words{"predict", "--task", task, *dir / "empty"}, "empty: no image in this folder"),
        {words{"predict", "--run", *dir / "empty", data}, "empty: not a run folder"},
        {words{"map", "--run", *dir / "empty", "--data", data}, "empty: "},
        {words{"info", "--method", "clr", data + "/dots/class0/0.ppm"}, "0.ppm"}}) {
    const Outcome o = clr(command);
    EXPECT_EQ(o.status, 1);
    EXPECT_SAYS(o.err, said);
  }
  clr::TaskFile file = clr::read_task_file(task);
  for (auto& [name, tensor] : file.tensors)
    if (name == "linear.weight") std::fill_n(tensor.mutable_data<float>(), tensor.numel(), 3e38F);
  clr::write_task_file(run + "/tasks/large.safetensors", file);
  const Outcome o =
      clr({"predict", "--task", run + "/tasks/large.safetensors", data + "/dots/class1/2.ppm", "--json"});
  fs::remove(run + "/tasks/large.safetensors");
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "class1/2.ppm");
}

// Of equal probabilities the smaller label comes first.
TEST_F(CommandLines, predict_lists_equal_probabilities_in_the_order_of_labels) {
  clr::TaskFile file = clr::read_task_file(task);
  for (auto& [name, tensor] : file.tensors)
    if (name.starts_with("linear.")) tensor = zeros(tensor.shape());
  clr::write_task_file(run + "/tasks/equal.safetensors", file);
  const Outcome o =
      clr({"predict", "--task", run + "/tasks/equal.safetensors", data + "/dots/class1/2.ppm", "--json"});
  fs::remove(run + "/tasks/equal.safetensors");
  const json predictions = json::parse(o.out)["images"][0]["predictions"];
  for (const std::size_t label : {0u, 1u, 2u}) EXPECT_EQ(predictions[label]["label"], label);
}

TEST_F(CommandLines, report_names_the_page_and_audit_its_parts) {
  const Outcome o = clr({"report", run, "--html", *dir / "page.html"});
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.err, "written: " + *dir / "page.html");
  EXPECT_SAYS(clr({"audit", "--help"}).out, "Exit status 1: the part found something.");
  const Outcome none = clr({"audit"});
  EXPECT_EQ(none.status, 2);
  EXPECT_SAYS(none.err, "audit: expected a part, one of verify, repeat");
}

}  // namespace
}  // namespace reprise::test
