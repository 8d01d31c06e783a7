// Packed task files compute what the originals do, read like any other and are refused where the
// original is needed. A task's whole network has PyTorch's logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/clr/learn/pack.h"
#include "apps/clr/learn/run_network.h"
#include "data/io/file.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "layers/file_layout.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/by_formula.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;
using nlohmann::json;
using Words = std::vector<std::string>;

// Returns the tensor with values by formula, each layer's about as large as its input's.
Tensor sensible(const std::string& name, const Tensor& like, FileLayout layout) {
  Tensor t = empty(layers::file_shape(like.shape(), layout));
  const std::int64_t fan = t.rank() > 1 ? t.numel() / t.dim(0) : 1;
  double gain = 2;
  for (std::int64_t n = 1; n < fan; n *= 4) gain /= 2;
  const Noise noise(name);
  const bool near_1 = t.rank() == 1 && (name.ends_with("var") || name.ends_with("weight")),
             centred = name.ends_with("reprogram.weight");
  float* to = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    const double u = noise(i);
    to[i] = static_cast<float>(centred         ? (i % fan == fan / 2) + u / 8
                               : near_1        ? 1 + u / 4
                               : t.rank() == 1 ? u / 8
                                               : u * gain);
  }
  return t;
}

std::vector<data::NamedTensor> sensible(const std::string& from, std::vector<layers::Entry> entries) {
  std::vector<data::NamedTensor> tensors;
  for (const layers::Entry& e : entries)
    tensors.push_back({e.name, sensible(from + e.name, *e.tensor, e.layout)});
  return tensors;
}

class Pack : public testing::Test {
 protected:
  // Writes a backbone and a task on it; `path` is the task's file.
  void make(const std::string& arch, const std::string& method, int size = 32) {
    if (made_ != arch)
      data::write_safetensors(backbone_path,
                              sensible("body.", layers::make_network(arch, 4)->named_tensors()));
    made_ = arch;
    backbone = backbone_for(method, method == "scratch" ? "" : backbone_path, arch, cpu_device, DType::f32);
    task = {};
    task.task = "dots";
    task.method = method;
    task.arch = arch;
    task.backbone_identity = backbone.identity;
    task.classes = {"a", "b", "c"};
    task.size = size;
    task.device = "cpu";
    task.dtype = "f32";
    task.tensors = sensible("task.", layers::task_tensors(*backbone.instantiate(method, 3, 0, "dots")));
    write_task_file(path, task);
    task = read_task_file(path);
  }
  Outcome pack(const std::string& form, Words more = {}) const {
    Words words{"convert", path, packed_path, "--pack", form, "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return test::clr(words);
  }
  TaskFile packed_as(const std::string& form) const {
    EXPECT_EQ(pack(form).status, 0);
    return read_task_file(packed_path);
  }
  Tensor logits(const TaskFile& t) const {
    return outputs_of(*restore_network(backbone, t), noise_images(3, t.size)).logits;
  }
  static void refused(const Outcome& o, const std::string& said, int status = 1) {
    EXPECT_EQ(o.status, status) << o.out << o.err;
    EXPECT_SAYS(o.err, said);
  }

  const TempDir dir;
  const std::string backbone_path = dir / "backbone.safetensors", path = dir / "dots.safetensors",
                    packed_path = dir / "packed.safetensors";
  Backbone backbone;
  TaskFile task;

 private:
  std::string made_;
};

// Every network, so that each batch norm is found to follow its convolution; every method.
TEST_F(Pack, folding_changes_no_more_than_rounding_does) {
  for (const auto& [arch, method, size] : {std::tuple("resnet20", "clr", 32),
                                           {"resnet20", "clr-full", 32},
                                           {"resnet20", "clr-mixed", 32},
                                           {"resnet20", "clr-residual", 32},
                                           {"resnet20", "side-conv", 32},
                                           {"resnet20", "linear", 32},
                                           {"resnet20", "bn-only", 32},
                                           {"resnet20", "finetune", 32},
                                           {"resnet20", "scratch", 32},
                                           {"resnet18", "clr", 64},
                                           {"xception", "bn-only", 96},
                                           {"mobilenet_v2", "finetune", 64}}) {
    make(arch, method, size);
    const Tensor expected = logits(task);
    EXPECT_LT(relative_difference(logits(packed_as("fold")), expected), 2e-5) << arch << " " << method;
    const double rounded = relative_difference(logits(packed_as("f16")), expected);
    EXPECT_LT(rounded, 0.003) << arch << " " << method;
    EXPECT_GT(rounded, 1e-5) << "nothing was rounded: " << arch << " " << method;
    EXPECT_LT(relative_difference(logits(packed_as("int8")), expected), 0.03) << arch << " " << method;
  }
}

TEST_F(Pack, files_have_the_bytes_that_info_says) {
  make("resnet18", "clr");
  task.classes.clear();
  for (int i = 0; i < 10; ++i) task.classes.push_back(std::to_string(i));
  task.tensors = sensible("", layers::task_tensors(*backbone.instantiate("clr", 10, 0, "dots")));
  write_task_file(path, task);
  const json said =
      json::parse(test::clr({"info", "--arch", "resnet18", "--method", "clr", "--json"}).out)["methods"][0];
  EXPECT_EQ(said["packed_bytes"], json({{"fold", 183848}, {"f16", 91924}, {"int8", 63400}}));
  for (const std::string& form : pack_forms) {
    const json j = json::parse(pack(form, {"--json"}).out);
    EXPECT_EQ(j["tensor_bytes_in"], 237864);
    EXPECT_EQ(j["tensor_bytes_out"], said["packed_bytes"][form]);
    const std::string file = read_text(packed_path);
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), 8);
    EXPECT_EQ(said["packed_bytes"][form], file.size() - 8 - header);
    EXPECT_LT(header, 900);
    EXPECT_EQ(cost_of(read_task_file(packed_path)).bytes(), said["packed_bytes"][form]);
  }
  EXPECT_EQ(json(packed_bytes("resnet50", "clr", 10)),
            json({{"fold", 417320}, {"f16", 208660}, {"int8", 165160}}));
  const Outcome all = test::clr({"info", "--arch", "resnet18", "--method", "all"});
  EXPECT_SAYS(all.out, "183,848  ");
  EXPECT_SAYS(test::clr({"info", "--arch", "resnet18", "--method", "clr"}).out,
              "63,400 of 44,764,968 = 0.142 %  bytes, packed for prediction (clr convert --pack int8)");
}

TEST_F(Pack, a_packed_file_names_its_original_and_reads_like_any_other) {
  make("resnet20", "clr");
  ASSERT_EQ(pack("int8").status, 0);
  const TaskFile t = read_task_file(packed_path);
  EXPECT_EQ(t.packed, "int8");
  EXPECT_EQ(t.original_sha256, sha256_hex(data::read_file(path)));
  const std::string first = read_text(packed_path);
  ASSERT_EQ(pack("int8").status, 0);
  EXPECT_EQ(read_text(packed_path), first) << "equal tasks give equal bytes";
  const Outcome info = test::clr({"info", packed_path});
  EXPECT_SAYS(info.out, "int8, made of SHA-256 " + t.original_sha256);
  EXPECT_EQ(json::parse(test::clr({"info", packed_path, "--json"}).out)["files"][0]["task"]["packed"],
            "int8");
  write_image(dir / "one.ppm", 32, 1, 3);
  const Words with_backbone{"--backbone", backbone_path, "--device", "cpu"};
  Words predict{"predict", "--task", packed_path, dir / "one.ppm"};
  predict.insert(predict.end(), with_backbone.begin(), with_backbone.end());
  EXPECT_EQ(test::clr(predict).status, 0);
  data::write_safetensors(dir / "images.safetensors",
                          {{"images", noise_images(2, 32)}, {"labels", labels_in_turn(2, 3)}});
  Words forward{"forward",  "--task",   packed_path, "--input", dir / "images.safetensors",
                "--output", dir / "out"};
  forward.insert(forward.end(), with_backbone.begin(), with_backbone.end());
  EXPECT_EQ(test::clr(forward).status, 0);
  forward.push_back("--train-step");
  refused(test::clr(forward), "packed as int8 is for prediction only; --train-step needs the original file");
  refused(test::clr({"audit", "layers", "--task", packed_path, "--backbone", backbone_path, "--images",
                     dir.path()}),
          "clr audit layers needs the original file, SHA-256 " + t.original_sha256);
  refused(test::clr({"convert", packed_path, dir / "again.safetensors", "--pack", "fold"}),
          "clr convert --pack needs the original");
}

TEST_F(Pack, eval_and_report_read_packed_runs_and_training_refuses_them) {
  write_tiny_backbone(dir / "tiny.safetensors");
  write_task(dir / "data", "dots");
  const Words run{"--run", dir / "run", "--data", dir / "data", "--device", "cpu"};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const Words train = with({"train", "--backbone", dir / "tiny.safetensors", "--size", "8", "--epochs", "6",
                            "--lr", "0.01", "--batch", "5", "--quiet"},
                           run);
  ASSERT_EQ(test::clr(train).status, 0);
  const std::string file = dir / "run/tasks/dots.safetensors";
  const double learned = *read_task_file(file).val_accuracy;
  const Outcome made =
      test::clr({"convert", file, packed_path, "--pack", "fold", "--data", dir / "data", "--json"});
  ASSERT_EQ(made.status, 0) << made.err;
  const json val = json::parse(made.out)["val"];
  EXPECT_EQ(val["accuracy"], learned);
  EXPECT_EQ(val["packed_accuracy"], learned);
  EXPECT_EQ(val["flipped"], 0);
  EXPECT_EQ(val["same_data"], true);
  EXPECT_GT(val["largest_change"], 0);
  EXPECT_LT(val["largest_change"], 1e-4);
  const Outcome text = test::clr({"convert", file, packed_path, "--pack", "int8", "--data", dir / "data"});
  EXPECT_SAYS(text.out, "validation images: accuracy ");
  EXPECT_SAYS(text.out, "largest change of a logit");
  const Outcome absent =
      test::clr({"convert", file, packed_path, "--pack", "int8", "--data", dir / "nowhere"});
  EXPECT_EQ(absent.status, 1);

  std::filesystem::copy_file(packed_path, file, std::filesystem::copy_options::overwrite_existing);
  const Outcome eval = test::clr(with({"eval"}, run));
  EXPECT_EQ(eval.status, 0) << eval.err;
  const Outcome report = test::clr({"report", dir / "run", "--html", dir / "page.html"});
  EXPECT_EQ(report.status, 0) << report.err;
  EXPECT_SAYS(report.out, "a task's own tensors                          9.6 KiB");
  refused(test::clr(train), "packed as int8 is for prediction only; training needs the original");
  const Outcome verify = test::clr({"audit", "verify", dir / "run", "--quiet"});
  EXPECT_EQ(verify.status, 1);
  EXPECT_SAYS(verify.err, "packed as int8 is for prediction only; clr audit verify needs the original file");
  Words other = train;
  *std::ranges::find(other, run[1]) = dir / "other";
  refused(test::clr(with(other, {"--init", file})), "--init needs the original");
}

TEST_F(Pack, numbers_beyond_f16_are_refused) {
  make("resnet20", "linear");
  const auto said = [&](float bias, const char* form) {
    for (data::NamedTensor& t : task.tensors)
      if (t.name == "linear.bias") t.tensor = tensor({3}, {0, bias, 0});
    return error_of([&] { pack_tensors(task, form); });
  };
  for (const float sign : {1.0F, -1.0F}) {
    EXPECT_EQ(said(65504 * sign, "f16"), "");
    EXPECT_SAYS(said(65505 * sign, "f16"), "too large for f16; pack it as fold");
    EXPECT_EQ(said(65505 * sign, "fold"), "");
  }
}

TEST_F(Pack, damaged_packed_files_are_refused) {
  make("resnet20", "clr");
  ASSERT_EQ(pack("int8").status, 0);
  const data::WeightFile good = data::read_weights(packed_path);
  const auto error_with = [&](const std::string& key, const std::string& value,
                              const std::vector<data::NamedTensor>& tensors) -> std::string {
    auto metadata = good.metadata;
    metadata[key] = value;
    data::write_safetensors(packed_path, tensors, metadata);
    try {
      read_task_file(packed_path);
      return "read";
    } catch (const Error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(error_with("task", "renamed", good.tensors), "read");
  EXPECT_SAYS(error_with("packed", "int4", good.tensors), "packed as 'int4'; this clr reads fold, f16, int8");
  EXPECT_SAYS(error_with("packed", "fold", good.tensors), "expected 7075 f32 in the tensor 'values', got");
  EXPECT_SAYS(error_with("arch", "resnet32", good.tensors), "packed as int8: expected ");
  EXPECT_SAYS(error_with("task", "x", {good.tensors[0]}), "no such tensor");
  EXPECT_SAYS(error_with("classes", R"(["a","b"])", good.tensors),
              "expected 2068 f32 in the tensor 'values'");
}

TEST_F(Pack, wrong_usage_is_named) {
  make("resnet20", "linear");
  refused(test::clr({"convert", path, dir / "x.pth", "--pack", "fold"}), "OUT ends with .safetensors", 2);
  refused(test::clr({"convert", path, packed_path, "--pack", "int4"}), "int4", 2);
  std::filesystem::copy_file(path, packed_path, std::filesystem::copy_options::overwrite_existing);
  refused(test::clr({"convert", path, packed_path, "--pack", "f16", "--data", dir / "absent"}), "absent");
  EXPECT_EQ(read_text(path), read_text(packed_path)) << "what lay there stays";
  refused(test::clr({"convert", path, packed_path, "--data", "x"}), "--data needs --pack", 2);
  refused(test::clr({"convert", path, packed_path, "--full", "--pack", "fold"}), "--full", 2);
  refused(test::clr({"convert", path, packed_path, "--full", "--classes", "a"}), "no --classes", 2);
  refused(test::clr({"convert", path, path, "--pack", "fold"}), "are the same file");
  refused(test::clr({"convert", backbone_path, packed_path, "--pack", "fold"}), "not a task file");
}

// tests/golden/full/full.csv: method, form, SHA-256 of the file, PyTorch's logits of three images.
// PyTorch loaded exactly these bytes by the page apps/clr/PYTORCH.md.
class WholeNetwork : public Pack {
 protected:
  static constexpr const char* methods[] = {"bn-only", "side-conv", "clr-mixed", "clr-residual"};
  // Writes the network of the task; returns the file.
  std::string full(const std::string& method, const std::string& to) {
    make("resnet18", method, 64);
    const Outcome o = test::clr({"convert", path, to, "--full", "--backbone", backbone_path, "--quiet"});
    EXPECT_EQ(o.status, 0) << o.err;
    return to;
  }
};

TEST_F(WholeNetwork, has_the_logits_of_pytorch) {
  std::ifstream golden(REPRISE_SOURCE_DIR "/tests/golden/full/full.csv");
  std::map<std::string, std::vector<std::string>> rows;
  for (std::string line, field; std::getline(golden, line);) {
    std::istringstream fields(line);
    std::getline(fields, field, ',');
    auto& row = rows[field];
    while (std::getline(fields, field, ',')) row.push_back(field);
  }
  for (const std::string method : methods) {
    const std::string file = full(method, dir / "full.safetensors");
    const auto& row = rows[method];
    ASSERT_EQ(row.size(), 10) << method;
    EXPECT_EQ(sha256_hex(data::read_file(file)), row[0]) << method << ": PyTorch read another file";
    // Names of the original are not a backbone's.
    EXPECT_EQ(data::read_weights(file).metadata.contains("reprise.format"), !method.starts_with("clr"));
    const Tensor got = logits(task);
    Tensor expected = empty({3, 3});
    for (std::size_t i = 0; i < 9; ++i) expected.mutable_data<float>()[i] = std::stof(row[i + 1]);
    EXPECT_LT(relative_difference(got, expected), 1e-5) << method;
  }
}

TEST_F(WholeNetwork, is_a_backbone_again_where_no_layer_is_added) {
  const std::string file = full("side-conv", dir / "full.safetensors");
  const Backbone whole = load_backbone(file, "auto", cpu_device, DType::f32);
  EXPECT_EQ(whole.arch, "resnet18");
  EXPECT_EQ(whole.size, 64);
  EXPECT_LT(relative_difference(outputs_of(*whole.pretrained(), noise_images(3, 64)).logits, logits(task)),
            1e-5);
  const auto tensors = data::read_weights(file).tensors;
  const auto pth = data::read_weights(full("side-conv", dir / "full.pth")).tensors;
  ASSERT_EQ(pth.size(), tensors.size());
}

// Writes what tests/golden/full/make_full.py reads: REPRISE_FULL=DIR test_apps
//   --gtest_also_run_disabled_tests --gtest_filter='WholeNetwork.DISABLED_make'
TEST_F(WholeNetwork, DISABLED_make) {
  const std::string to = std::getenv("REPRISE_FULL");
  for (const std::string method : methods) {
    full(method, to + "/" + method + ".pth");
    full(method, to + "/" + method + ".safetensors");
  }
  data::write_pth(to + "/images.pth", {{"images", noise_images(3, 64)}});
}

}  // namespace
}  // namespace reprise::test
