// clr reproduce, and state dicts under the original's names.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/task_log.h"
#include "apps/clr/original/original_outputs.h"
#include "apps/clr/original/original_program.h"
#include "apps/clr/original/original_state_dict.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

// Computes the digest as tests/golden/reproduce/state_dicts.py does.
std::string digest_of(const std::vector<data::NamedTensor>& state) {
  std::multiset<std::string> lines;
  for (const auto& [name, tensor] : state) {
    std::string shape = "[";
    for (int i = 0; i < tensor.rank(); ++i) shape += (i > 0 ? ", " : "") + std::to_string(tensor.dim(i));
    lines.insert(name + (tensor.dtype() == DType::i64 ? " int64 " : " float32 ") + shape + "]\n");
  }
  std::string text;
  for (const auto& line : lines) text += line;
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

TEST(OriginalStateDict, has_the_names_types_and_shapes_that_pytorch_wants) {
  std::ifstream in(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/reproduce/state_dicts.tsv");
  ASSERT_TRUE(in.is_open());
  int checked = 0;
  std::string method, arch, sha;
  for (std::size_t count = 0; in >> method >> arch >> count >> sha; ++checked) {
    auto network = layers::make_network(arch, 7);
    layers::apply_method(*network, method);
    for (const auto& e : network->named_tensors()) (void)e.tensor->mutable_data<float>();
    const auto state = clr::original_state_dict(*network, {});
    EXPECT_EQ(state.size(), count) << method << " " << arch;
    EXPECT_EQ(digest_of(state), sha) << method << " " << arch;

    std::vector<std::string> back, own;
    for (const auto& t : clr::from_original_state_dict(state)) back.push_back(t.name);
    for (const auto& e : network->named_tensors()) own.push_back(e.name);
    EXPECT_EQ(back, own) << method << " " << arch;
  }
  EXPECT_EQ(checked, 18);
}

TEST(OriginalStateDict, two_names_for_one_tensor_are_refused) {
  const Tensor t = zeros({1, 1, 1, 1});
  EXPECT_THROW(clr::from_original_state_dict({{"model.a.weight", t}, {"model.a.original_block.weight", t}}),
               Error);
}

TEST(OriginalStateDict, is_the_task_of_the_method_that_trains_the_least) {
  const TempDir dir;
  const auto backbone =
      clr::load_backbone(write_tiny_backbone(dir / "b.safetensors"), "auto", cpu_device, DType::f32);
  const auto state = [&](const std::string& method) {
    return clr::from_original_state_dict(
        clr::original_state_dict(*backbone.instantiate(method, 3, 0, "dots"), {}));
  };
  // Batch norms are the backbone's, as with linear. A ResNet-20 has no 1x1 convolutions, so clr,
  // clr-full and clr-mixed are one method.
  for (const auto& [trained, found] : {std::pair("finetune", "linear"), {"clr-mixed", "clr"}})
    EXPECT_EQ(clr::task_of_state_dict(backbone, state(trained), {}).method, found);
  // Where several are as near, the first of them is named.
  auto changed = state("clr-mixed");
  std::ranges::find(changed, "layer1.0.conv1.weight", &data::NamedTensor::name)->tensor =
      zeros({16, 16, 3, 3});
  EXPECT_SAYS(error_of([&] { clr::task_of_state_dict(backbone, changed, {}); }),
              "nearest   clr: 0 names and 1 frozen tensors differ");
  // One name and one tensor; the first in the network's order is shown.
  std::erase_if(changed, [](const data::NamedTensor& t) { return t.name == "linear.bias"; });
  EXPECT_SAYS(
      error_of([&] { clr::task_of_state_dict(backbone, changed, {}); }),
      "nearest   clr: 1 names and 1 frozen tensors differ\n  first     layer1.0.conv1.weight is not the "
      "backbone's");
  auto tensors = state("linear");
  using Names = std::vector<std::string>;
  EXPECT_EQ(clr::task_of_state_dict(backbone, tensors, {}).classes, (Names{"0", "1", "2"}));
  EXPECT_EQ(clr::task_of_state_dict(backbone, tensors, {"a", "c", "b"}).classes, (Names{"a", "c", "b"}));
  const clr::TaskFile task = clr::task_of_state_dict(backbone, tensors, {});
  EXPECT_EQ((Names{task.arch, task.backbone_identity, task.device, task.dtype}),
            (Names{"resnet20", backbone.identity, "cpu", "f32"}));
  EXPECT_EQ(task.size, backbone.size);
  Names own;
  for (const data::NamedTensor& t : task.tensors) own.push_back(t.name);
  EXPECT_EQ(own, (Names{"linear.bias", "linear.weight"}));
  const auto refused = [&](const Names& classes) {
    return error_of([&] { clr::task_of_state_dict(backbone, tensors, classes); });
  };
  EXPECT_SAYS(refused({"a", "b"}), "its head has 3 classes, but 2 class names were given");
  EXPECT_SAYS(refused({"a", "b", "c", "d"}), "its head has 3 classes, but 4 class names were given");
  const auto head = std::ranges::find(tensors, "linear.weight", &data::NamedTensor::name);
  for (const Shape& shape : {Shape{0, 64}, Shape{64}, Shape{3, 64, 1}}) {
    head->tensor = zeros(shape);
    EXPECT_SAYS(refused({}), "no head: expected linear.weight (classes,features)");
  }
  tensors.erase(head);
  EXPECT_SAYS(refused({}), "no head");
}

TEST(OriginalOutputs, an_accuracy_is_a_single_precision_quotient_as_python_prints_it) {
  EXPECT_EQ(clr::original_accuracy(17, 20), "0.8500000238418579");
  EXPECT_EQ(clr::original_accuracy(1, 3), "0.3333333432674408");
  EXPECT_EQ(clr::original_accuracy(20, 20), "1.0");
  EXPECT_EQ(clr::original_accuracy(0, 20), "0.0");
  EXPECT_EQ(clr::original_accuracy(1, 131072), "7.62939453125e-06");
}

TEST(OriginalOutputs, are_the_log_the_csv_and_how_many_batches_were_seen) {
  const TempDir dir;
  const auto backbone =
      clr::load_backbone(write_tiny_backbone(dir / "b.safetensors"), "auto", cpu_device, DType::f32);
  clr::TaskFile task;
  task.task = "dots", task.method = "clr", task.arch = backbone.arch;
  task.backbone_identity = backbone.identity;
  task.classes = {"a", "b"};
  task.recipe = R"({"batch": 4, "lr": 0.5, "lambda": 0.25, "gamma": 0.125, "lr-step": 3})";
  task.best_epoch = 2, task.val_accuracy = 0.75;
  task.tensors = clr::task_tensors_of(*backbone.instantiate("clr", 2, 0, "dots"));
  data::Task data;
  data.id = "7";
  data.val.resize(4);
  write_text(dir / "log.csv", std::string(clr::task_log_header) +
                                  "\n1,0.5,3,0.25,1,0.5,1\n2,0.5,2,0.5,1,0.75,1\n3,0.25,1,0.5,1,0.25,1\n");
  const clr::OriginalOutputs outputs{.method = "Ghost_reduced_v1",
                                     .result_folder = dir / "result",
                                     .weight_folder = dir / "weight",
                                     .lock_file = dir / "lock"};
  const std::string stem = "/dots_Ghost_reduced_v1_lr0.5_lambda0.25_gamma0.125_stepsize3";
  // At the best epoch, the second; an epoch takes two or three steps, the last of them not always whole.
  for (const auto& [images, batches] : {std::pair(5, 4), {8, 4}, {9, 6}}) {
    data.train.resize(static_cast<std::size_t>(images));
    outputs.write(backbone, task, data, dir / "log.csv");
    const auto file = data::read_weights(dir / ("weight" + stem + ".pth"));
    EXPECT_EQ(file.find("model.bn1.num_batches_tracked")->item(), batches) << images;
  }
  EXPECT_EQ(read_text(dir / ("result" + stem + ".txt")),
            "task dots method Ghost_reduced_v1 classes 2 train 9 validation 4\nrecipe " + task.recipe +
                "\nepoch 1 lr 0.5 loss 3 train_accuracy 0.25 val_accuracy 0.5 best 0.5\n"
                "epoch 2 lr 0.5 loss 2 train_accuracy 0.5 val_accuracy 0.75 best 0.75\n"
                "epoch 3 lr 0.25 loss 1 train_accuracy 0.5 val_accuracy 0.25 best 0.75\n"
                "best epoch 2\n");
  // Without a validation there is no accuracy for the CSV.
  data::Task unvalidated = data;
  unvalidated.val.clear();
  clr::TaskFile unmeasured = task;
  unmeasured.val_accuracy = std::nullopt;
  for (const std::string& error :
       {error_of([&] { outputs.write(backbone, task, unvalidated, dir / "log.csv"); }),
        error_of([&] { outputs.write(backbone, unmeasured, data, dir / "log.csv"); })})
    EXPECT_SAYS(error, "task dots has no validation images");
  const std::string csv = dir / "result/Ghost_reduced_v1.csv";
  EXPECT_EQ(read_text(csv), "7,dots,0.75\n");
  // Beside the lines of others, the last of which may lack its end.
  for (const std::string ending : {"", "\n"}) {
    write_text(csv, "6,lines,0.5" + ending);
    outputs.write(backbone, task, data, dir / "log.csv");
    EXPECT_EQ(read_text(csv), "6,lines,0.5\n7,dots,0.75\n");
  }
  task.task = "a/b";
  EXPECT_SAYS(error_of([&] { outputs.write(backbone, task, data, dir / "log.csv"); }),
              "a task's name cannot hold a '/': a/b");
}

TEST(OriginalPrograms, go_by_the_originals_name_or_by_this_programs) {
  for (const auto& [asked, found, arch] : {std::tuple{"Ghost_reduced_v1", "Ghost_reduced_v1", "resnet18"},
                                           {"Xception_Linear", "Xception_Linear", "xception"},
                                           {"clr", "Ghost_reduced_v1", "resnet18"},
                                           {"clr-full", "Ghost", "resnet18"},
                                           {"finetune", "Finetune", "resnet50"},
                                           {"scratch", "Resnet_Scratch", "resnet50"}}) {
    EXPECT_EQ(clr::find_original_program(asked).method, found);
    EXPECT_EQ(clr::find_original_program(asked).arch, arch);
  }
  const TempDir dir;
  const auto in = [&](const char* method) {
    return clr::find_published_backbone(clr::find_original_program(method), dir.path());
  };
  EXPECT_EQ(in("Resnet_Scratch"), "") << "it starts from random values";
  EXPECT_THROW(in("Ghost"), Error);
  write_text(dir / "resnet18-f37072fd.pth", "");
  EXPECT_EQ(in("Ghost"), dir / "resnet18-f37072fd.pth");
  write_text(dir / "resnet18-5c106cde.pth", "");
  EXPECT_EQ(in("Ghost"), dir / "resnet18-5c106cde.pth");
  EXPECT_THROW(in("li50"), Error);
}

class Reproduce : public testing::Test {
 protected:
  void SetUp() override {
    auto network = layers::make_network("resnet18", 4);
    network->initialize(5);
    std::vector<data::NamedTensor> tensors;
    for (const auto& t : clr::original_state_dict(*network, {{"bn1", 100}}))
      tensors.push_back({t.name.substr(std::string("model.").size()), t.tensor});
    data::write_pth(backbone, tensors);
    write_task(dir / "data", "circles", 5);
  }
  Outcome reproduce(const std::string& method, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{
        "reproduce", "--data",       dir / "data", "--method", method,     "--result", dir / "result/",
        "--weight",  dir / "weight", "--size",     "32",       "--epochs", "1",        "--weights-dir",
        dir.path(),  "--device",     "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  const TempDir dir;
  const std::string backbone = dir / "resnet18-5c106cde.pth";
};

TEST_F(Reproduce, leaves_what_the_original_program_leaves) {
  const Outcome o = reproduce("Ghost_reduced_v1");
  ASSERT_EQ(o.status, 0) << o.err;
  const std::string stem = "circles_Ghost_reduced_v1_lr0.001_lambda1e-05_gamma0.1_stepsize1";
  const std::string log = read_text(dir / ("result/" + stem + ".txt"));
  EXPECT_NE(log.find("epoch 1 lr 0.001 loss "), std::string::npos) << log;
  const std::string csv = read_text(dir / "result/Ghost_reduced_v1.csv");
  EXPECT_TRUE(csv.starts_with(",circles,")) << csv;

  const auto file = data::read_weights(dir / ("weight/" + stem + ".pth"));
  EXPECT_EQ(file.tensors.size(), 139U);
  ASSERT_NE(file.find("model.layer1.0.conv1.Ghos_Mod.0.weight"), nullptr);
  EXPECT_EQ(file.find("model.layer1.0.conv1.Ghos_Mod.0.weight")->shape(), (Shape{64, 1, 3, 3}));
  // 12 training images in batches of 32: one step.
  const auto learned = clr::read_task_file(dir / "result/Ghost_reduced_v1/tasks/circles.safetensors");
  EXPECT_EQ(file.find("model.bn1.num_batches_tracked")->item(), 100 + learned.best_epoch);

  EXPECT_EQ(process_records(dir / "result/Ghost_reduced_v1").at(0)["clip_grey16"], true) << "as Pillow does";

  // A second run has nothing to do and changes nothing.
  const Outcome again = reproduce("Ghost_reduced_v1");
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(read_text(dir / "result/Ghost_reduced_v1.csv"), csv);
}

TEST_F(Reproduce, a_task_s_name_must_leave_room_for_the_recipe_in_a_file_s_name) {
  for (const std::size_t bytes : {180U, 181U}) {
    const std::string name(bytes, 'x'), data = dir / std::to_string(bytes);
    write_task(data, name, 5);
    const Outcome o = test::clr({"reproduce", "--data", data, "--method", "li18", "--result",
                                 data + "/result/", "--weight", data + "/weight", "--size", "32", "--epochs",
                                 "1", "--weights-dir", dir.path(), "--device", "cpu", "--tasks", name});
    EXPECT_EQ(o.status, bytes == 180 ? 0 : 1) << o.err;
    EXPECT_EQ(o.err.find("its name has 181 bytes, at most 180 are taken") != std::string::npos, bytes == 181)
        << o.err;
  }
}

TEST_F(Reproduce, state_dicts_are_read_back_as_the_tasks_they_hold) {
  for (const std::string method : {"Ghost_reduced_v2", "Ghost_a", "li18"}) {
    SCOPED_TRACE(method);
    const Outcome o = reproduce(method);
    ASSERT_EQ(o.status, 0) << o.err;
    const std::string out = dir / (method + ".safetensors"),
                      whole =
                          dir / ("weight/circles_" + method + "_lr0.001_lambda1e-05_gamma0.1_stepsize1.pth");
    const Outcome back = test::clr({"convert", whole, out, "--backbone", backbone, "--json"});
    ASSERT_EQ(back.status, 0) << back.err;
    EXPECT_EQ(test::clr({"convert", whole, dir / "task.pth", "--backbone", backbone}).status, 2);
    const auto learned = clr::read_task_file(dir / ("result/" + method + "/tasks/circles.safetensors"));
    const auto read = clr::read_task_file(out);
    EXPECT_EQ(read.method, learned.method);
    EXPECT_EQ(read.backbone_identity, learned.backbone_identity);
    ASSERT_EQ(read.tensors.size(), learned.tensors.size());
    EXPECT_EQ(nlohmann::json::parse(back.out), (nlohmann::json{{"in", whole},
                                                               {"out", out},
                                                               {"method", learned.method},
                                                               {"classes", 3},
                                                               {"tensors", read.tensors.size()}}));
    for (std::size_t i = 0; i < read.tensors.size(); ++i) {
      EXPECT_EQ(read.tensors[i].name, learned.tensors[i].name);
      EXPECT_TRUE(
          std::ranges::equal(read.tensors[i].tensor.raw_bytes(), learned.tensors[i].tensor.raw_bytes()))
          << read.tensors[i].name;
    }
  }
}

TEST_F(Reproduce, a_state_dict_of_another_backbone_is_refused_by_the_tensor_that_differs) {
  ASSERT_EQ(reproduce("Ghost_reduced_v1").status, 0);
  auto network = layers::make_network("resnet18", 4);
  network->initialize(6);
  std::vector<data::NamedTensor> tensors =
      clr::from_original_state_dict(clr::original_state_dict(*network, {}));
  data::write_pth(dir / "other.pth", tensors);
  const Outcome o = test::clr(
      {"convert", dir / "weight/circles_Ghost_reduced_v1_lr0.001_lambda1e-05_gamma0.1_stepsize1.pth",
       dir / "task.safetensors", "--backbone", dir / "other.pth"});
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("conv1.weight is not the backbone's"), std::string::npos) << o.err;
  EXPECT_FALSE(exists(dir / "task.safetensors"));
}

TEST_F(Reproduce, says_where_a_backbone_is_to_be_had) {
  const Outcome o = reproduce("Linear");
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("swav_800ep_pretrain.pth.tar"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("https://"), std::string::npos) << o.err;
  EXPECT_FALSE(exists(dir / "result"));
}

TEST_F(Reproduce, an_unknown_method_is_wrong_usage) {
  const Outcome o = reproduce("Ghosts");
  EXPECT_EQ(o.status, 2);
  EXPECT_NE(o.err.find("Ghost_reduced_v1, Ghost, "), std::string::npos) << o.err;
}

}  // namespace
}  // namespace reprise::test
