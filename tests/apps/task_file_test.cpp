// Task files read back as written, equal tasks give equal bytes, another backbone is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "layers/network.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

class TaskFiles : public testing::Test {
 protected:
  // A task whose tensors differ from the start values.
  TaskFile learned(const Backbone& on, const std::string& method = "clr") {
    const auto network = on.instantiate(method, 3, 5, "shapes");
    for (const layers::Entry& e : layers_of(*network)) {
      if (e.is_buffer || !requires_grad(*e.tensor)) continue;
      e.tensor->mutable_data<float>()[0] += 0.25F;
    }
    TaskFile t;
    t.task = "shapes";
    t.method = method;
    t.arch = on.arch;
    t.backbone_identity = on.identity;
    t.classes = {"circle", "Kreuz \"+\"", "Dreieck"};
    t.size = 32;
    t.recipe = R"({"lr": 1e-3, "epochs": 15})";
    t.seed = 18446744073709551615U;
    t.data_digests = {{"train", "aa"}, {"val", "bb"}};
    t.best_epoch = 7;
    t.train_accuracy = 1.0 / 3;
    t.val_accuracy = 0.85000002384185791;
    t.device = "cpu";
    t.dtype = "f32";
    t.tensors = task_tensors_of(*network);
    return t;
  }
  static std::vector<layers::Entry> layers_of(layers::Network& network) { return network.named_tensors(); }

  std::string error_of(const std::string& file) {
    try {
      read_task_file(file);
      return "read";
    } catch (const Error& e) {
      return e.what();
    }
  }

  TempDir dir;
  std::string path = dir / "shapes.safetensors";
  Backbone backbone =
      load_backbone(write_tiny_backbone(dir / "backbone.safetensors"), "auto", cpu_device, DType::f32);
};

TEST_F(TaskFiles, what_goes_in_comes_out) {
  const TaskFile in = learned(backbone);
  write_task_file(path, in);
  const TaskFile out = read_task_file(path);
  EXPECT_EQ(out.task, in.task);
  EXPECT_EQ(out.method, in.method);
  EXPECT_EQ(out.arch, in.arch);
  EXPECT_EQ(out.backbone_identity, in.backbone_identity);
  EXPECT_EQ(out.classes, in.classes);
  EXPECT_EQ(out.size, 32);
  EXPECT_EQ(out.recipe, R"({"epochs":15,"lr":0.001})");
  EXPECT_EQ(out.seed, in.seed);
  EXPECT_EQ(out.data_digests, in.data_digests);
  EXPECT_EQ(out.best_epoch, 7);
  EXPECT_EQ(out.train_accuracy, in.train_accuracy) << "to the last bit";
  EXPECT_EQ(out.val_accuracy, in.val_accuracy);
  EXPECT_FALSE(out.test_accuracy.has_value());
  ASSERT_EQ(out.tensors.size(), in.tensors.size());
  for (std::size_t i = 0; i < in.tensors.size(); ++i) {
    EXPECT_EQ(out.tensors[i].name, in.tensors[i].name);
    EXPECT_EQ(relative_difference(out.tensors[i].tensor, in.tensors[i].tensor), 0) << in.tensors[i].name;
  }
}

TEST_F(TaskFiles, the_header_says_nothing_twice) {
  TaskFile task = learned(backbone);
  task.recipe =
      R"({"device": "cpu", "dtype": "f32", "method": "clr", "seed": 18446744073709551615, "size": 32})";
  write_task_file(path, task);
  const auto now = data::read_weights(path);
  EXPECT_EQ(now.metadata.at("reprise.format"), "task 2");
  for (const char* key : {"device", "dtype", "method", "seed", "size", "preprocessing", "backbone_sha256"})
    EXPECT_FALSE(now.metadata.contains(key)) << key;
  task.dtype = "bf16";  // differs from the recipe's
  write_task_file(path, task);
  EXPECT_EQ(read_task_file(path).dtype, "bf16");
  auto unknown = now.metadata;
  unknown["reprise.format"] = "task 3";
  data::write_safetensors(path, now.tensors, unknown);
  EXPECT_SAYS(error_of(path), "form 'task 3'; this clr reads 'task 1' to 'task 2'");
}

TEST_F(TaskFiles, equal_tasks_give_equal_bytes) {
  TaskFile a = learned(backbone), b = learned(backbone);
  a.recipe = R"({"a": 1, "b": 2})";
  b.recipe = R"({"b": 2, "a": 1})";
  write_task_file(path, a);
  write_task_file(dir / "other name.safetensors", b);
  EXPECT_EQ(read_text(path), read_text(dir / "other name.safetensors"));
}

// A renamed tensor is missing and extra at once. One difference does not make up for another.
TEST_F(TaskFiles, missing_extra_and_misshaped_tensors_are_refused) {
  const auto network = backbone.instantiate("linear", 3, 5, "shapes");
  const std::vector<data::NamedTensor> good = task_tensors_of(*network);
  ASSERT_EQ(good.size(), 2u);
  const data::NamedTensor bias = good[0], weight = good[1], odd{"odd", zeros({1})};
  const data::NamedTensor other{bias.name, zeros({4})}, renamed{"linear.weights", weight.tensor};
  const auto said = [&](const std::vector<data::NamedTensor>& tensors) {
    return test::error_of([&] { apply_task(*network, tensors); });
  };
  EXPECT_EQ(said(good), "");
  for (const auto& tensors : {std::vector{bias, renamed},
                              {bias},
                              {bias, weight, odd},
                              {other, weight},
                              {other},
                              {other, weight, odd}})
    EXPECT_SAYS(said(tensors), "task: its tensors do not fit the network");
}

// Images of a network: bytes, of three channels, and at least one.
TEST(Images, of_other_types_and_shapes_are_refused) {
  EXPECT_NO_THROW(check_images(zeros({1, 2, 2, 3}, DType::u8)));
  for (const auto& [shape, dtype] : {std::pair(Shape{1, 2, 2, 3}, DType::f32),
                                     {Shape{2, 2, 3}, DType::u8},
                                     {Shape{2, 2, 2, 3, 1}, DType::u8},
                                     {Shape{1, 2, 2, 1}, DType::u8},
                                     {Shape{0, 2, 2, 3}, DType::u8},
                                     {Shape{1, 0, 2, 3}, DType::u8}})
    EXPECT_SAYS(error_of([&, &s = shape, &d = dtype] { check_images(zeros(s, d)); }),
                "images: expected u8 [N, H, W, 3], got " + std::string(name_of(dtype)));
}

TEST_F(TaskFiles, hold_the_tasks_own_tensors_alone) {
  for (const auto& t : learned(backbone).tensors) {
    const bool own = t.name.starts_with("linear.") || t.name.ends_with("reprogram.weight") ||
                     t.name.find("bn") != std::string::npos;
    EXPECT_TRUE(own) << t.name;
  }
  EXPECT_EQ(learned(backbone, "linear").tensors.size(), 2U);
}

TEST_F(TaskFiles, a_restored_network_computes_the_same) {
  const TaskFile task = learned(backbone);
  const auto fresh = backbone.instantiate("clr", 3, 5, "shapes");
  apply_task(*fresh, task.tensors);
  const Tensor images = noise_images(2, 32);
  const Tensor expected = outputs_of(*fresh, images).logits;
  write_task_file(path, task);
  const auto restored = restore_network(backbone, read_task_file(path));
  EXPECT_EQ(relative_difference(outputs_of(*restored, images).logits, expected), 0);
  EXPECT_FALSE(restored->is_training());
  const auto untrained = backbone.instantiate("clr", 3, 5, "shapes");
  EXPECT_GT(relative_difference(outputs_of(*untrained, images).logits, expected), 1e-3);
}

TEST_F(TaskFiles, another_backbone_is_refused_by_name) {
  const Backbone other =
      load_backbone(write_tiny_backbone(dir / "other.safetensors", 2), "auto", cpu_device, DType::f32);
  write_task_file(path, learned(backbone));
  try {
    restore_network(other, read_task_file(path));
    FAIL();
  } catch (const Error& e) {
    const std::string said = e.what();
    EXPECT_NE(said.find("another backbone"), std::string::npos) << said;
    EXPECT_NE(said.find(backbone.identity), std::string::npos) << said;
    EXPECT_NE(said.find(other.identity), std::string::npos) << said;
  }
}

TEST_F(TaskFiles, tensors_that_do_not_fit_are_listed) {
  TaskFile task = learned(backbone);
  std::erase_if(task.tensors, [](const auto& t) { return t.name == "bn1.bias"; });
  task.tensors.push_back({"surplus", zeros({1})});
  for (auto& t : task.tensors)
    if (t.name == "linear.bias") t.tensor = zeros({4});
  try {
    restore_network(backbone, task);
    FAIL();
  } catch (const Error& e) {
    const std::string said = e.what();
    EXPECT_NE(said.find("missing  bn1.bias"), std::string::npos) << said;
    EXPECT_NE(said.find("extra    surplus [1]"), std::string::npos) << said;
    EXPECT_NE(said.find("shape    linear.bias: [4] f32 in the file, [3] in the network"), std::string::npos)
        << said;
  }
}

TEST_F(TaskFiles, a_number_that_is_none_is_refused_by_tensor_and_index) {
  for (const auto& [tensor, value, said] :
       {std::tuple("linear.bias", std::nanf(""), "task: linear.bias[2] is nan, where a finite number"),
        std::tuple("bn1.running_var", -1.0F, "task: bn1.running_var[2] is -1, where a variance")}) {
    TaskFile task = learned(backbone);
    for (auto& t : task.tensors)
      if (t.name == tensor) t.tensor.mutable_data<float>()[2] = value;
    write_task_file(path, task);
    try {
      restore_network(backbone, read_task_file(path));
      FAIL() << tensor;
    } catch (const Error& e) {
      EXPECT_SAYS(std::string(e.what()), said);
      EXPECT_SAYS(std::string(e.what()), path);
    }
  }
}

TEST_F(TaskFiles, every_truncation_is_an_error) {
  write_task_file(path, learned(backbone, "linear"));
  const std::string whole = read_text(path);
  ASSERT_LT(whole.size(), 4000U);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    write_text(path, whole.substr(0, n));
    ASSERT_THROW(read_task_file(path), Error) << n << " of " << whole.size();
  }
  write_text(path, whole);
  EXPECT_NO_THROW(read_task_file(path));
}

TEST_F(TaskFiles, damaged_metadata_is_an_error_that_names_the_key) {
  write_task_file(path, learned(backbone, "linear"));
  const data::WeightFile good = data::read_weights(path);
  const std::pair<std::string, std::string> damages[] = {
      {"classes", "[1, 2]"}, {"classes", "[]"},         {"classes", "[\"a\""}, {"seed", "-1"},
      {"seed", "many"},      {"best_epoch", ""},        {"accuracy", "[0.5]"}, {"size", "0"},
      {"recipe", "{"},       {"size", "1000000000000"}, {"recipe", "[]"}};
  for (const auto& [key, value] : damages) {
    auto metadata = good.metadata;
    metadata[key] = value;
    data::write_safetensors(path, good.tensors, metadata);
    const std::string said = error_of(path);
    EXPECT_NE(said.find(key == "classes" && value == "[]" ? "classes" : "'" + key + "'"), std::string::npos)
        << key << " = " << value << ": " << said;
  }
  auto first = good.metadata;
  first["reprise.format"] = "task 1";
  for (const std::string text : {"{}", "{\"size\": 1000000000000}", "{\"size\": 32}"}) {
    first["preprocessing"] = text;
    data::write_safetensors(path, good.tensors, first);
    EXPECT_SAYS(error_of(path), text.ends_with(" 32}") ? "read" : "'preprocessing'");
  }
  for (const std::string key : {"task", "method", "arch", "backbone_identity", "classes"}) {
    auto metadata = good.metadata;
    metadata.erase(key);
    data::write_safetensors(path, good.tensors, metadata);
    EXPECT_NE(error_of(path).find("no '" + key + "'"), std::string::npos) << error_of(path);
  }
  EXPECT_NE(error_of(dir / "backbone.safetensors").find("not a task file"), std::string::npos);
}

TEST_F(TaskFiles, the_cost_adds_up) {
  const TaskFile task = learned(backbone);
  const layers::TaskCost cost = cost_of(task);
  EXPECT_EQ(cost.reprogramming, 9 * (16 + 6 * 16 + 6 * 32 + 6 * 64));
  EXPECT_EQ(cost.batch_norm, 2 * (16 + 6 * 16 + 6 * 32 + 6 * 64));
  EXPECT_EQ(cost.statistics, cost.batch_norm);
  EXPECT_EQ(cost.head, 3 * 65);
  EXPECT_EQ(cost.bytes(), 4 * (cost.parameters() + cost.statistics));
  EXPECT_EQ(cost.body_parameters, 269722 - 650);
  EXPECT_EQ(cost.network_parameters, cost.body_parameters + cost.head);
}

}  // namespace
}  // namespace reprise::test
