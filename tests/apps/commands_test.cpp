// info, convert, predict, demo-data and the program's own options, run as a user runs them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "apps/clr/demo/demo_data.h"
#include "apps/clr/learn/task_file.h"
#include "data/image/write_png.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/sha256.h"
#include "layers/network.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Commands : public testing::Test {
 protected:
  // A run folder as `clr train` leaves it: RUN/run.json and RUN/tasks/NAME.safetensors.
  std::string write_task(const std::string& recorded_backbone, const std::string& method = "clr") {
    const clr::Backbone b = clr::load_backbone(backbone, "auto", cpu_device, DType::f32);
    clr::TaskFile t;
    t.task = "shapes";
    t.method = method;
    t.arch = b.arch;
    t.backbone_identity = b.identity;
    t.classes = {"circle", "cross", "triangle"};
    t.size = 32;
    t.device = "cpu";
    t.dtype = "f32";
    t.val_accuracy = 0.75;
    t.tensors = clr::task_tensors_of(*b.instantiate(method, 3, 0, "shapes"));
    fs::create_directories(dir / "run/tasks");
    if (!recorded_backbone.empty())
      write_text(dir / "run/run.json", json{{"backbone", {{"path", recorded_backbone}}}}.dump());
    clr::write_task_file(dir / "run/tasks/shapes.safetensors", t);
    return dir / "run/tasks/shapes.safetensors";
  }
  std::string write_image(const std::string& name, std::uint64_t seed, int size = 40) {
    const Tensor pixels = noise_images(1, size, seed);
    data::Image image{
        size, size, {pixels.values<std::uint8_t>().begin(), pixels.values<std::uint8_t>().end()}};
    data::write_png(dir / name, image);
    return dir / name;
  }

  TempDir dir;
  std::string backbone = write_tiny_backbone(dir / "backbone.safetensors");
};

TEST_F(Commands, the_program_itself) {
  const Outcome version = clr({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_SAYS(version.out, "clr 0.");
  EXPECT_SAYS(version.out, "image decoders    stb_image");
  EXPECT_SAYS(version.out, "backends          ref, cpu");
  const Outcome env = clr({"--env"});
  EXPECT_EQ(env.status, 0);
  EXPECT_SAYS(env.out, "REPRISE_CPU_ISA = ");
  EXPECT_SAYS(clr({"--help"}).out, "forward");
  EXPECT_SAYS(clr({"--help"}).out, "`clr COMMAND --help` lists a command's options.");
  EXPECT_EQ(clr({}).status, 2);
  const Outcome unknown = clr({"no-such-command"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_SAYS(
      unknown.err,
      "unknown command 'no-such-command'; known are train, eval, map, predict, forward, pretrain, tasks, "
      "info, convert, report, reproduce, audit, demo-data");
  EXPECT_EQ(clr({"--no-such-option"}).status, 2);
}

TEST_F(Commands, every_command_has_help_with_the_common_options) {
  for (const std::string command : {"train", "eval", "predict", "forward", "pretrain", "tasks", "info",
                                    "convert", "report", "demo-data"}) {
    const Outcome o = clr({command, "--help"});
    EXPECT_EQ(o.status, 0) << command;
    for (const std::string option : {"--device", "--dtype", "--threads", "--seed", "--quiet", "--json"})
      EXPECT_SAYS(o.out, option);
    EXPECT_EQ(clr({command, "--no-such-option"}).status, 2) << command;
  }
}

// Returns a command's options, one in a line, with their default values: "--epochs=60".
std::string options_of(std::vector<std::string> command) {
  command.push_back("--help");
  std::istringstream help(clr(command).out);
  std::string options;
  for (std::string line; std::getline(help, line);) {
    std::smatch m;
    static const std::regex option(R"(^  (?:-\w,)?(--[\w-]+)(?: [A-Z]+(?::[^=]*?)?(=\S+)?)?(?: .*)?$)");
    if (std::regex_match(line, m, option)) options += "  " + m[1].str() + m[2].str() + "\n";
  }
  return options;
}

// A lost option or another default is found here. REPRISE_OPTIONS=FILE writes the list anew.
TEST_F(Commands, have_the_options_and_defaults_that_the_list_says) {
  std::string all;
  for (const std::string command :
       {"train",        "eval",      "map",         "predict",   "forward",    "pretrain",     "tasks",
        "info",         "convert",   "report",      "reproduce", "demo-data",  "audit verify", "audit repeat",
        "audit layers", "audit nan", "audit drift", "audit ops", "audit grad", "audit margin"}) {
    std::istringstream in(command);
    const std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    all += command + "\n" + options_of(words);
  }
  if (const char* to = std::getenv("REPRISE_OPTIONS")) write_text(to, all);
  EXPECT_EQ(all, read_text(REPRISE_SOURCE_DIR "/tests/golden/options.txt"));
}

TEST_F(Commands, a_result_that_cannot_be_written_is_an_error) {
  if (!exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const Outcome o = clr({"info", backbone}, "/dev/full");
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "standard output");
}

TEST_F(Commands, info_of_a_backbone) {
  const Outcome o = clr({"info", backbone});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.out, "architecture  resnet20");
  EXPECT_SAYS(o.out, "269,722 = 269,072 body + 650 head (10 classes)");
  EXPECT_SAYS(o.out, "layer3.2.conv2.weight");
  EXPECT_SAYS(o.out, "[64, 64, 3, 3]");
  const json j = json::parse(clr({"info", backbone, "--json"}).out)["files"][0];
  EXPECT_EQ(j["network"]["arch"], "resnet20");
  EXPECT_EQ(j["network"]["identity"], clr::load_backbone(backbone, "auto", cpu_device, DType::f32).identity);
  EXPECT_EQ(j["tensors"].size(), tiny_backbone().size());
}

TEST_F(Commands, info_of_an_unknown_network_and_of_an_incomplete_one) {
  data::write_safetensors(dir / "other.safetensors", {{"encoder.weight", zeros({3, 4})}},
                          {{"who", "someone"}});
  const Outcome other = clr({"info", dir / "other.safetensors"});
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_SAYS(other.out, "not one that clr knows");
  EXPECT_SAYS(other.out, "who = someone");
  EXPECT_SAYS(other.out, "encoder.weight  [3, 4]");
  const Outcome table = clr({"info", dir / "other.safetensors", "--table"});
  EXPECT_EQ(table.status, 1);
  EXPECT_SAYS(table.err, "--table needs a network that clr knows; known are resnet18, ");
  EXPECT_SAYS(clr({"info", dir / "other.safetensors", "--method", "linear"}).err,
              "other.safetensors: not a network that clr knows; known are resnet18, ");
  EXPECT_SAYS(clr({"info", backbone, "--arch", "resnet32"}).out, "missing  layer1.3.conv1.weight");
  EXPECT_EQ(clr({"info", backbone, "--arch", "resnet"}).status, 2);
}

TEST_F(Commands, info_of_a_task_spells_its_cost_out) {
  const std::string task = write_task("");
  const Outcome o = clr({"info", task});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.out, "7,763 parameters of its own = 6,192 reprogramming + 1,376 batch norm + 195 head");
  EXPECT_SAYS(o.out, "7,763 of 269,267 parameters of the whole network");
  EXPECT_SAYS(o.out, "7,568 of 269,072 parameters of the backbone's body");
  EXPECT_SAYS(o.out, "bytes of tensors of the whole network");
  EXPECT_SAYS(o.out, "circle, cross, triangle");
  EXPECT_SAYS(o.out, "75.0 %");
  const json j = json::parse(clr({"info", task, "--json"}).out)["files"][0]["task"];
  EXPECT_EQ(j["val_accuracy"], 0.75);
  EXPECT_EQ(j["test_accuracy"], nullptr);
  EXPECT_EQ(j["cost"]["parameters"], 7763);
}

TEST_F(Commands, info_prints_each_fact_on_a_line_of_its_own) {
  const std::string task = write_task("");
  clr::TaskFile t = clr::read_task_file(task);
  t.seed = 3, t.best_epoch = 2, t.instruction_set = "avx2", t.train_accuracy = 1,
  t.recipe = R"({"epochs":4})";
  clr::write_task_file(task, t);
  const auto digest = [](const std::string& path) { return sha256_hex(data::read_file(path)); };
  const std::string identity = clr::load_backbone(backbone, "auto", cpu_device, DType::f32).identity;
  const auto begins = [](const Outcome& o, const std::string& text) {
    EXPECT_EQ(o.status, 0) << o.err;
    EXPECT_EQ(o.out.substr(0, text.size()), text);
    EXPECT_SAYS(o.out, "\n---");  // above the sums
  };
  begins(clr({"info", task}),
         task + "\n  form          safetensors\n  SHA-256       " + digest(task) +
             "\n  task          shapes\n  method        clr\n  architecture  resnet20\n"
             "  backbone      " +
             identity +
             "\n  classes       3: circle, cross, triangle\n  images        32x32\n"
             "  learned       seed 3, best epoch 2, on cpu in f32\n  level         avx2\n"
             "  train accuracy 100.0 %\n  val accuracy  75.0 %\n  recipe        {\"epochs\":4}\n"
             "  cost          ");
  const auto backbone_lines = [&](const std::string& path, const std::string& prefix) {
    begins(clr({"info", path}), path + "\n  form          safetensors\n" + prefix + "  SHA-256       " +
                                    digest(path) + "\n  architecture  resnet20\n  identity      " + identity +
                                    "\n  parameters    269,722 = ");
  };
  backbone_lines(backbone, "");
  auto tensors = tiny_backbone();
  for (data::NamedTensor& tensor : tensors) tensor.name = "module." + tensor.name;
  data::write_safetensors(dir / "parallel.safetensors", tensors);
  backbone_lines(dir / "parallel.safetensors", "  prefix        module.\n");
  EXPECT_SAYS(clr({"info", "--arch", "resnet20", "--method", "all"}).out, "\nof body: (kernels + ");
}

TEST_F(Commands, info_table_shows_layers) {
  const Outcome o = clr({"info", backbone, "--table"});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.out, "[1, 8, 8, 64]");
  EXPECT_SAYS(o.out, "269,722");
  const json layers = json::parse(clr({"info", backbone, "--table", "--json"}).out)["files"][0]["layers"];
  EXPECT_EQ(layers[0]["name"], "conv1");
  EXPECT_EQ(layers[0]["flops"], 2 * 32 * 32 * 16 * 27);
}

TEST_F(Commands, info_goes_on_behind_a_bad_file) {
  write_text(dir / "text.pth", "not weights\n");
  const Outcome o = clr({"info", dir / "text.pth", dir / "absent.pth", backbone});
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "text.pth");
  EXPECT_SAYS(o.err, "absent.pth");
  EXPECT_SAYS(o.out, "resnet20");
}

TEST_F(Commands, convert_there_and_back) {
  const std::string pth = dir / "b.pth", back = dir / "back.safetensors";
  const Outcome there = clr({"convert", backbone, pth});
  ASSERT_EQ(there.status, 0) << there.err;
  ASSERT_EQ(clr({"convert", pth, back}).status, 0);
  EXPECT_EQ(read_text(back), read_text(backbone)) << "tensors, names and order are untouched";
  const json j = json::parse(clr({"convert", pth, back, "--json"}).out);
  EXPECT_EQ(j["tensors"], tiny_backbone().size());
  EXPECT_EQ(j["in_format"], "pth-zip");
}

TEST_F(Commands, convert_lists_what_it_skips) {
  data::write_safetensors(dir / "noted.safetensors", tiny_backbone(), {{"note", "by hand"}});
  const Outcome o = clr({"convert", dir / "noted.safetensors", dir / "noted.pth"});
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.out, "skipped  metadata 'note'");
  const std::string real = real_input("backbones/resnet20-12fca82f.th");
  if (!real.empty()) {
    EXPECT_SAYS(clr({"convert", real, dir / "real.safetensors"}).out, "best_prec1");
  }
}

TEST_F(Commands, convert_refuses) {
  EXPECT_EQ(clr({"convert", backbone, dir / "b.onnx"}).status, 2);
  EXPECT_EQ(clr({"convert", backbone}).status, 2);
  EXPECT_EQ(clr({"convert", dir / "absent.pth", dir / "x.pth"}).status, 1);
  const std::string whole = read_text(backbone);
  EXPECT_EQ(clr({"convert", backbone, backbone}).status, 1);
  EXPECT_EQ(read_text(backbone), whole);
  write_text(dir / "cut.safetensors", whole.substr(0, whole.size() - 1));
  EXPECT_EQ(clr({"convert", dir / "cut.safetensors", dir / "x.pth"}).status, 1);
  EXPECT_EQ(clr({"convert", backbone, dir / "no such folder/x.pth"}).status, 1);
  EXPECT_FALSE(exists(dir / "x.pth"));
}

TEST_F(Commands, predict_uses_the_runs_backbone) {
  const std::string task = write_task(backbone), image = write_image("a.png", 3);
  const Outcome o = clr({"predict", "--task", task, image});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.out, "circle");
  EXPECT_SAYS(o.err, "backbone " + backbone + ": ");
  EXPECT_EQ(clr({"predict", "--task", task, image, "--quiet"}).err, "");
  const json j = json::parse(clr({"predict", "--task", task, image, "--json"}).out);
  const json& top = j["images"][0]["predictions"];
  ASSERT_EQ(top.size(), 3U);
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    sum += top[i]["probability"].get<double>();
    if (i > 0) {
      EXPECT_LE(top[i]["probability"], top[i - 1]["probability"]);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(
      json::parse(
          clr({"predict", "--task", task, image, "--json", "--top", "1"}).out)["images"][0]["predictions"]
          .size(),
      1U);
}

TEST_F(Commands, predict_does_not_depend_on_the_other_images) {
  const std::string task = write_task(backbone);
  std::vector<std::string> arguments{"predict", "--json", "--task", task};
  for (int i = 0; i < 34; ++i) arguments.push_back(write_image("i" + std::to_string(i) + ".png", 10 + i, 32));
  const json all = json::parse(clr(arguments).out)["images"];
  ASSERT_EQ(all.size(), 34U);
  for (const std::size_t i : {0U, 33U}) {
    const json alone =
        json::parse(clr({"predict", "--json", "--task", task, arguments[4 + i]}).out)["images"];
    EXPECT_EQ(alone[0], all[i]);
  }
}

TEST_F(Commands, predict_looks_beside_the_task_and_says_where_it_looked) {
  const std::string task = write_task(dir / "gone.safetensors"), image = write_image("a.png", 3);
  write_tiny_backbone(dir / "run/tasks/another.safetensors", 9);
  const Outcome lost = clr({"predict", "--task", task, image});
  EXPECT_EQ(lost.status, 1);
  EXPECT_SAYS(lost.err, "was not found; give --backbone FILE");
  EXPECT_SAYS(lost.err, "gone.safetensors");
  EXPECT_SAYS(lost.err, "another.safetensors: another network");
  EXPECT_SAYS(lost.err, "/run: no other weight file");
  EXPECT_EQ(lost.err.find("/tasks: no other weight file"), std::string::npos) << lost.err;
  for (const auto& [name, tensors] : {std::pair("numbers", std::vector<data::NamedTensor>{{"x", ones({2})}}),
                                      {"head", {{"linear.weight", ones({2, 3})}}}}) {
    data::write_safetensors(dir / name, tensors);
    const Outcome none = clr({"predict", "--task", task, "--backbone", dir / name, image});
    EXPECT_EQ(none.status, 1) << none.err;
    EXPECT_SAYS(none.err, name);
  }
  EXPECT_EQ(clr({"predict", "--task", task, "--backbone", backbone, image}).status, 0);
  const Outcome wrong =
      clr({"predict", "--task", task, "--backbone", dir / "run/tasks/another.safetensors", image});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_SAYS(wrong.err, "another backbone");
  data::write_pth(dir / "run/tasks/kept.pth", tiny_backbone());
  EXPECT_EQ(clr({"predict", "--task", task, image}).status, 0);
}

TEST_F(Commands, predict_names_bad_images_and_does_the_others) {
  const std::string task = write_task(backbone), good = write_image("a.png", 3);
  write_text(dir / "broken.png", read_text(good).substr(0, 200));
  write_text(dir / "pointer.jpg", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  const Outcome o =
      clr({"predict", "--task", task, dir / "broken.png", good, dir / "pointer.jpg", dir / "absent.png"});
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "broken.png");
  EXPECT_SAYS(o.err, "pointer.jpg");
  EXPECT_SAYS(o.err, "absent.png");
  EXPECT_SAYS(o.out, "a.png");
}

TEST_F(Commands, predict_refuses) {
  const std::string task = write_task(backbone), image = write_image("a.png", 3);
  EXPECT_EQ(clr({"predict", "--task", task}).status, 2);
  EXPECT_EQ(clr({"predict", "--task", task, "--top", "0", image}).status, 2);
  EXPECT_EQ(clr({"predict", "--task", dir / "absent.safetensors", image}).status, 1);
  const Outcome not_task = clr({"predict", "--task", backbone, image});
  EXPECT_EQ(not_task.status, 1);
  EXPECT_SAYS(not_task.err, "not a task file");
}

TEST_F(Commands, forward_runs_a_task) {
  const std::string task = write_task(backbone);
  data::write_safetensors(dir / "in.safetensors", {{"images", noise_images(2, 32)}});
  const std::vector<std::string> arguments{
      "forward",  "--backbone",           backbone, "--task", task, "--input", dir / "in.safetensors",
      "--output", dir / "out.safetensors"};
  const Outcome o = clr(arguments);
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_EQ(data::read_weights(dir / "out.safetensors").find("logits")->shape(), (Shape{2, 3}));
}

TEST_F(Commands, demo_data_draws_tasks_and_refuses_a_full_folder) {
  const Outcome o =
      clr({"demo-data", dir / "demo", "--count", "2", "--images", "2", "--size", "16", "--seed", "3"});
  ASSERT_EQ(o.status, 0) << o.err;
  for (const std::size_t i : {0U, 1U}) EXPECT_SAYS(o.out, clr::demo_task_names()[i]);
  EXPECT_TRUE(exists(dir / ("demo/" + clr::demo_task_names()[1])));
  const Outcome again = clr({"demo-data", dir / "demo"});
  EXPECT_EQ(again.status, 1);
  EXPECT_SAYS(again.err, dir / "demo");
  EXPECT_EQ(clr({"demo-data", dir / "x", "--count", "0"}).status, 2);
  EXPECT_EQ(clr({"demo-data", dir / "x", "--size", "many"}).status, 2);
  EXPECT_EQ(clr({"demo-data"}).status, 2);
  EXPECT_FALSE(exists(dir / "x"));
}

}  // namespace
}  // namespace reprise::test
