// The task map: its file, and the commands that make and use it.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/write_png.h"
#include "data/weights/weight_file.h"
#include "engine/base/random.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

// Writes three classes of `images` images, in colours of the task's own, and classes' names.
void write_own_task(const std::string& dir, const std::string& task, int shade, int images) {
  for (int label = 0; label < 3; ++label) {
    const std::string folder = dir + "/" + task + "/class" + std::to_string(label);
    fs::create_directories(folder);
    for (int i = 0; i < images; ++i) {
      RandomStream stream(static_cast<std::uint64_t>(i), task + std::to_string(label));
      std::vector<std::uint8_t> pixels;
      for (int p = 0; p < 64 * 3; ++p)
        pixels.push_back(static_cast<std::uint8_t>(
            stream.below(60) + static_cast<std::uint64_t>(p % 3 == shade ? 150 : 40 * label * (p / 3 % 2))));
      data::write_png(folder + "/" + std::to_string(i) + ".png", {8, 8, pixels});
    }
  }
}

class TaskMapCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    for (const auto& [task, shade] : {std::pair("reds", 0), {"greens", 1}, {"blues", 2}})
      write_own_task(*dir / "data", task, shade, 40);
    fs::create_directories(*dir / "first");
    fs::create_directory_symlink(*dir / "data/greens", *dir / "first/greens");
    ASSERT_EQ(
        test::clr({"train", "--backbone", *dir / "backbone.safetensors", "--data", *dir / "data", "--run",
                   *dir / "run", "--device", "cpu", "--size", "8", "--epochs", "1", "--val-fraction", "0.2"})
            .status,
        0);
  }
  static void TearDownTestSuite() {
    delete dir;
    dir = nullptr;
  }
  // Copies the run, without a map.
  std::string copy_of_run(const std::string& name) const {
    fs::remove_all(*dir / name);
    fs::copy(*dir / "run", *dir / name, fs::copy_options::recursive);
    for (const char* file : {"/taskmap.safetensors", "/taskmap-calibration.safetensors"})
      fs::remove(*dir / name + file);
    return *dir / name;
  }
  static Outcome map(const std::string& run, words more = {}) {
    words arguments{"map", "--run", run, "--device", "cpu", "--data", *dir / "data"};
    if (std::ranges::find(more, "--data") != more.end()) arguments.resize(5);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  // Makes the map of the shared run where it is missing.
  static std::string mapped_run() {
    if (!exists(*dir / "run/taskmap.safetensors")) {
      const Outcome o = map(*dir / "run");
      EXPECT_EQ(o.status, 0) << o.err;
    }
    return *dir / "run";
  }
  static std::string bytes_of(const std::string& run) {
    return read_text(run + "/taskmap.safetensors") + read_text(run + "/taskmap-calibration.safetensors");
  }
  static json predicted(words more, const std::string& run = mapped_run()) {
    words arguments{"predict", "--json", "--device", "cpu", "--run", run};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome o = test::clr(arguments);
    EXPECT_EQ(o.status, 0) << o.err;
    return json::parse(o.out);
  }
  static TempDir* dir;
};
TempDir* TaskMapCommands::dir = nullptr;

TEST_F(TaskMapCommands, the_map_is_the_same_for_any_order_and_number_of_threads) {
  const std::string all = bytes_of(mapped_run());
  const std::string run = copy_of_run("grown");
  const Outcome part = map(run, {"--data", *dir / "first", "--threads", "1"});
  EXPECT_EQ(part.status, 1);  // two learned tasks are absent there
  EXPECT_SAYS(part.err, "blues, reds");
  EXPECT_NE(bytes_of(run), all);
  ASSERT_EQ(map(run, {"--threads", "3"}).status, 0);
  EXPECT_EQ(bytes_of(run), all);
  ASSERT_EQ(map(run, {"--remove", "greens"}).status, 0);
  EXPECT_EQ(json::parse(map(run, {"--json", "--data", *dir / "data"}).out)["tasks"].size(), 3U);
  EXPECT_EQ(bytes_of(run), all);
}

TEST_F(TaskMapCommands, a_map_grows_by_the_tasks_that_the_folder_has) {
  const std::string all = bytes_of(mapped_run()), run = copy_of_run("by-parts");
  fs::create_directories(*dir / "rest");
  for (const char* task : {"reds", "blues"})
    fs::create_directory_symlink(*dir / ("data/" + std::string(task)), *dir / ("rest/" + std::string(task)));
  const Outcome first = map(run, {"--data", *dir / "first", "--json", "--quiet"});
  EXPECT_EQ(json::parse(first.out)["absent"], json({"blues", "reds"}));
  EXPECT_EQ(first.err.find("images"), std::string::npos) << first.err;
  const Outcome rest = map(run, {"--data", *dir / "rest", "--json"});
  EXPECT_EQ(rest.status, 0) << rest.err;
  EXPECT_TRUE(json::parse(rest.out)["absent"].empty());
  EXPECT_SAYS(rest.err, "reds: 96 training and 24 validation images");
  EXPECT_EQ(rest.err.find("other training images"), std::string::npos) << rest.err;
  EXPECT_EQ(bytes_of(run), all);
  // Other images of the same classes are told, and are in the map.
  write_own_task(*dir / "more", "greens", 1, 41);
  const Outcome others = map(copy_of_run("of-others"), {"--data", *dir / "more"});
  EXPECT_SAYS(others.err, "task greens: other training images than it learned from");
  EXPECT_SAYS(others.err, "greens: 99 training and 24 validation images");
}

TEST_F(TaskMapCommands, removing_needs_the_images_that_were_added) {
  mapped_run();
  const std::string run = copy_of_run("removing");
  ASSERT_EQ(map(run).status, 0);
  const std::string before = bytes_of(run);
  write_own_task(*dir / "others", "greens", 0, 40);
  const Outcome o = map(run, {"--remove", "greens", "--data", *dir / "others"});
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "not the training images");
  EXPECT_EQ(map(run, {"--remove", "yellows"}).status, 1);
  EXPECT_EQ(bytes_of(run), before);
  for (const char* task : {"greens", "reds", "blues"})
    EXPECT_EQ(map(run, {"--remove", task}).status, 0) << task;
  EXPECT_FALSE(exists(run + "/taskmap.safetensors"));
}

TEST_F(TaskMapCommands, predict_finds_task_and_class) {
  const json all = predicted({*dir / "data/reds", *dir / "data/greens/class1",
                              *dir / "data/blues/class2/3.png", "--refuse", "1"})["images"];
  ASSERT_EQ(all.size(), 161U);
  int right = 0;
  for (const json& image : all) {
    const std::string path = image["path"], task = image["answers"][0]["task"];
    right += path.find("/" + task + "/") != std::string::npos;
    EXPECT_EQ(image["answers"].size(), 3U);
    double sum = 0;
    for (const json& a : image["answers"]) sum += a["task_probability"].get<double>();
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_GE(image["answers"][0]["task_probability"].get<double>() *
                  image["answers"][0]["class_probability"].get<double>(),
              image["answers"][1]["task_probability"].get<double>() *
                  image["answers"][1]["class_probability"].get<double>());
  }
  EXPECT_GT(right, 150);
  // An answer does not depend on the other images, and the class's probability is that of --task.
  const std::string path = all[160]["path"];
  EXPECT_EQ(predicted({path, "--refuse", "1"})["images"][0], all[160]);
  const std::string task = all[160]["answers"][0]["task"];
  const json told = json::parse(test::clr({"predict", "--json", "--device", "cpu", "--task",
                                           *dir / ("run/tasks/" + task + ".safetensors"), path})
                                    .out);
  EXPECT_EQ(told["images"][0]["predictions"][0]["class"], all[160]["answers"][0]["class"]);
  EXPECT_EQ(told["images"][0]["predictions"][0]["probability"], all[160]["answers"][0]["class_probability"]);
  EXPECT_EQ(predicted({path, "--refuse", "1", "--shortlist", "1"})["images"][0]["answers"].size(), 1U);
}

TEST_F(TaskMapCommands, predict_refuses_what_no_task_is_near_to) {
  const std::string path = *dir / "checks.png";
  std::vector<std::uint8_t> pixels;
  for (int p = 0; p < 64 * 3; ++p) pixels.push_back(p / 3 % 8 < 4 ? 255 : 0);
  data::write_png(path, {8, 8, pixels});
  const json image = predicted({path})["images"][0];
  EXPECT_EQ(image["known"], false);
  EXPECT_TRUE(image["answers"].empty());
  write_text(*dir / "list.txt", "# two images\nchecks.png\ndata/reds/class0/1.png\r\n\n");
  const words plain{"predict", "--device", "cpu", "--run", mapped_run(), "--list", *dir / "list.txt"};
  EXPECT_SAYS(test::clr(plain).out, "none of the learned tasks");
  // What lies in a folder under an image's name and is none is named.
  fs::create_directories(*dir / "mixed");
  fs::copy_file(path, *dir / "mixed/a.png", fs::copy_options::overwrite_existing);
  write_text(*dir / "mixed/b.jpg", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  const Outcome mixed = test::clr({"predict", "--device", "cpu", "--run", mapped_run(), *dir / "mixed"});
  EXPECT_EQ(mixed.status, 1);
  EXPECT_SAYS(mixed.err, "b.jpg");
  words quiet = plain;
  quiet.emplace_back("--quiet");
  EXPECT_SAYS(test::clr(plain).err, "resnet20");
  EXPECT_EQ(test::clr(quiet).err, "");
  words csv = plain;
  csv.emplace_back("--csv");
  const std::string text = test::clr(csv).out;
  EXPECT_TRUE(text.starts_with("image,task,task_probability,class,class_probability\n" + path + ",,,,\n"))
      << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
}

TEST_F(TaskMapCommands, eval_counts_what_predict_answers) {
  const Outcome o = test::clr({"eval", "--json", "--device", "cpu", "--run", mapped_run(), "--data",
                               *dir / "data", "--map", "--unknown", *dir / "data/blues/class0"});
  ASSERT_EQ(o.status, 0) << o.err;
  const json map = json::parse(o.out)["map"];
  ASSERT_EQ(map["tasks"].size(), 3U);
  double told = 0, untold = 0, images = 0;
  for (const json& task : map["tasks"]) {
    EXPECT_EQ(task["images"], 12);  // one half of three classes' eight validation images
    EXPECT_GE(task["task_right"].get<double>(), 0.9);
    EXPECT_LE(task["untold"].get<double>(),
              std::min(task["task_right"].get<double>(), task["told"].get<double>()));
    EXPECT_GE(task["in_first_three"].get<double>(), 1);
    std::int64_t inferred = 0;
    for (const auto& [name, n] : task["inferred"].items()) inferred += n.get<std::int64_t>();
    EXPECT_EQ(inferred, 12);
    told += task["told"].get<double>() * 12, untold += task["untold"].get<double>() * 12, images += 12;
  }
  EXPECT_NEAR(map["micro"]["told"].get<double>(), told / images, 1e-12);
  EXPECT_NEAR(map["macro"]["untold"].get<double>(), untold / images, 1e-12);
  EXPECT_EQ(map["unknown"]["images"], 40);
  EXPECT_NEAR(map["unknown"]["auroc"].get<double>(), 0.5, 0.3);  // they are known ones
  const json whole = json::parse(o.out);
  EXPECT_TRUE(whole["fwt"].is_null());
  EXPECT_EQ(whole["bwt"], 0);
  EXPECT_EQ(whole["acc"], whole["now"]);
  EXPECT_EQ(whole["average_so_far"].back(), whole["learned"]);
  EXPECT_EQ(whole["average_so_far"][0], whole["tasks"][0]["learned"]);
  const std::string csv = read_text(mapped_run() + "/taskmap.csv");
  EXPECT_TRUE(csv.starts_with(
      "task,split,images,told,untold,task_right,in_first_three,same_name,refused,colour,entropy\n"))
      << csv;
  EXPECT_EQ(std::ranges::count(csv, '\n'), 4);
  EXPECT_EQ(test::clr({"report", mapped_run(), "--html", *dir / "page.html"}).status, 0);
  const std::string page = read_text(*dir / "page.html");
  for (const char* part :
       {"Without being told the task", "Confusions of tasks in", "ACC ", "BWT 0.0 %", "Average so far"})
    EXPECT_SAYS(page, part);
}

TEST_F(TaskMapCommands, say_what_to_do) {
  const std::string run = copy_of_run("errors"), image = *dir / "data/reds/class0/1.png";
  const auto predict = [&](words more = {}) {
    words arguments{"predict", "--device", "cpu", "--run", run, image};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  };
  const auto refused = [](const Outcome& o, int status, const std::string& part) {
    EXPECT_EQ(o.status, status);
    EXPECT_SAYS(o.err, part);
  };
  refused(predict(), 1, "clr map --run " + run + " --data DIR");
  ASSERT_EQ(map(run).status, 0);
  const std::string whole = read_text(run + "/taskmap.safetensors");
  refused(predict({"--dtype", "bf16"}), 1, "dtype            map f32, here bf16");
  refused(predict({"--winograd", "off"}), 1, "winograd         map on, here off");
  refused(predict({"--top", "3"}), 2, "--top");
  refused(predict({"--refuse", "0"}), 2, "--refuse");
  refused(predict({"--csv", "--json"}), 2, "--csv");
  refused(test::clr({"predict", image}), 2, "--run");
  refused(test::clr({"predict", "--run", run}), 2, "IMAGE or --list");
  refused(test::clr({"eval", "--run", run, "--data", *dir / "data", "--unknown", *dir / "data"}), 2, "--map");
  write_tiny_backbone(*dir / "other.safetensors", 7);
  refused(predict({"--backbone", *dir / "other.safetensors"}), 1, "another backbone");
  fs::rename(run + "/tasks/reds.safetensors", *dir / "reds.safetensors");
  refused(predict(), 1, "not learned in this run: reds");
  fs::rename(*dir / "reds.safetensors", run + "/tasks/reds.safetensors");
  write_text(run + "/taskmap.safetensors", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(predict().status, 1);
  // A task that was learned after the map was made.
  ASSERT_EQ(map(copy_of_run("later"), {"--data", *dir / "first"}).status, 1);
  refused(test::clr({"predict", "--run", *dir / "later", "--device", "cpu", image}), 1,
          "not in the map: blues, reds");
  // Tasks that were learned anew from other images or classes, in a map whose other parts are whole.
  data::WeightFile file = data::parse_weights(std::as_bytes(std::span(whole)), "map");
  const auto with = [&](const std::string& key, const std::string& from, const std::string& to) {
    auto metadata = file.metadata;
    std::string& text = metadata[key];
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << key;
    text.replace(at, from.size(), to);
    data::write_safetensors(run + "/taskmap.safetensors", file.tensors, metadata);
  };
  for (const char* part : {"class0", "learned_from\":\""}) {
    with("tasks", part, std::string(part) + "9");
    refused(predict(), 1, "it was learned anew");
    refused(map(run), 1, "it was learned anew");
  }
  data::write_safetensors(run + "/taskmap.safetensors", file.tensors, file.metadata);
  write_text(run + "/taskmap-calibration.safetensors", "nothing");
  refused(map(run, {"--remove", "reds"}), 1, "Remove the taskmap files");
  refused(map(run, {"--remove", "yellows"}), 1, "Remove the taskmap files");
  with("conditions", "\"instruction_set\":\"", "\"instruction_set\":\"other-");
  refused(predict(), 1, "instruction_set  map other-");
  for (const auto& [key, from, to] : {std::tuple("tasks", "halved", "half"),
                                      {"tasks", "[", ""},
                                      {"conditions", "{", ""},
                                      {"size", "8", "x"}}) {
    with(key, from, to);
    refused(predict(), 1, "damaged: its metadata");
  }
  for (const data::NamedTensor& gone : file.tensors) {
    auto tensors = file.tensors;
    std::erase_if(tensors, [&](const auto& t) { return t.name == gone.name; });
    data::write_safetensors(run + "/taskmap.safetensors", tensors, file.metadata);
    refused(predict(), 1, "damaged");
  }
}

TEST_F(TaskMapCommands, refuse_runs_that_cannot_have_a_map) {
  write_own_task(*dir / "few", "reds", 0, 8);
  write_own_task(*dir / "few", "greens", 1, 8);
  words train{"train",  "--device",   "cpu",   "--size",        "8", "--epochs", "1",
              "--data", *dir / "few", "--run", *dir / "few-run"};
  words scratch = train;
  train.insert(train.end(), {"--backbone", *dir / "backbone.safetensors"});
  ASSERT_EQ(test::clr(train).status, 0);
  const Outcome few = map(*dir / "few-run", {"--data", *dir / "few"});
  EXPECT_EQ(few.status, 1);
  EXPECT_SAYS(few.err, "3 validation images");
  EXPECT_FALSE(exists(*dir / "few-run/taskmap.safetensors"));
  scratch.back() = *dir / "scratch-run";
  scratch.insert(scratch.end(), {"--method", "scratch", "--arch", "resnet20"});
  ASSERT_EQ(test::clr(scratch).status, 0);
  const Outcome none = map(*dir / "scratch-run", {"--data", *dir / "few"});
  EXPECT_EQ(none.status, 1);
  EXPECT_SAYS(none.err, "random weights");
}

TEST_F(TaskMapCommands, a_killed_map_leaves_the_old_one_or_the_new_one) {
  const std::string all = bytes_of(mapped_run());
  for (const int after : {5, 20, 40, 80, 160}) {
    const std::string run = copy_of_run("killed");
    ASSERT_EQ(map(run, {"--data", *dir / "first"}).status, 1);
    const std::string before = bytes_of(run);
    Running process({"map", "--run", run, "--device", "cpu", "--data", *dir / "data"});
    usleep(static_cast<unsigned>(after) * 1000);
    process.send(SIGKILL);
    process.wait();
    const std::string left = read_text(run + "/taskmap.safetensors");
    EXPECT_TRUE(before.starts_with(left) || all.starts_with(left)) << after;
    ASSERT_EQ(map(run).status, 0);
    EXPECT_EQ(bytes_of(run), all) << after;
  }
}

TEST_F(TaskMapCommands, info_prints_what_a_map_costs) {
  const Outcome o = test::clr({"info", mapped_run() + "/taskmap.safetensors"});
  EXPECT_EQ(o.status, 0);
  EXPECT_SAYS(o.out, "a task map");
  EXPECT_SAYS(o.out, "all tasks share");
}

}  // namespace
}  // namespace reprise::test
