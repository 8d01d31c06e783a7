// Checkpoints as trainings leave them: where in the file the network is, and what its names begin
// with.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/step.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "tests/apps/support.h"
#include "tests/data/torch_files.h"

namespace reprise::test {
namespace {

using clr::Backbone;
using clr::WeightSource;
using data::NamedTensor;
using data::testing_weights::TorchFile;
using Items = TorchFile::Items;

Backbone load(const WeightSource& source, const std::string& arch = "auto") {
  return clr::load_backbone(source, arch, cpu_device, DType::f32);
}
std::string message(const WeightSource& source, const std::string& arch = "auto") {
  try {
    load(source, arch);
    return "loaded";
  } catch (const Error& e) {
    return e.what();
  }
}

class Checkpoints : public testing::Test {
 protected:
  // The entries of a state dict: a ResNet-20's tensors, each name with the prefix.
  Items network(const std::string& prefix = {}, std::uint64_t seed = 1) {
    Items items;
    for (const auto& [name, tensor] : tiny_backbone(seed)) {
      const auto dims = tensor.shape().dims();
      const auto values = tensor.values<float>();
      items.emplace_back(prefix + name,
                         file_.tensor({values.begin(), values.end()}, {dims.begin(), dims.end()}));
    }
    return items;
  }
  static Items joined(Items a, const Items& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  // Writes a file of this root (opcodes).
  WeightSource write(const std::string& root, const std::string& name = "file.pth") {
    write_text(dir_ / name, file_.file(root));
    return WeightSource(dir_ / name);
  }
  WeightSource write(const Items& root) { return write(TorchFile::dict(root)); }
  std::string scalar(float value) { return file_.tensor({value}, {}); }

  TempDir dir_;
  TorchFile file_;
  const std::string identity_ = load(write_tiny_backbone(dir_ / "plain.safetensors")).identity;
  const std::string other_ = load(write_tiny_backbone(dir_ / "other.safetensors", 2)).identity;
};

TEST_F(Checkpoints, a_tensor_beside_the_state_dict_is_no_state_dict) {
  const Backbone b = load(write({{"epoch", "K\x03"},
                                 {"best_acc1", scalar(76.1F)},
                                 {"state_dict", TorchFile::dict(network("module."))}}));
  EXPECT_EQ(b.identity, identity_);
  EXPECT_EQ(b.place, "section 'state_dict', prefix 'module.'");
  EXPECT_SAYS(b.describe(), "file.pth (section 'state_dict', prefix 'module.'): resnet20");
}

TEST_F(Checkpoints, any_prefix_is_taken_off) {
  for (const std::string prefix :
       {"_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "backbone.", "a.b.c.d."}) {
    auto items = network(prefix);
    items.emplace_back("criterion.pos_weight", scalar(3));
    const Backbone b = load(write(items));
    EXPECT_EQ(b.identity, identity_) << prefix;
    EXPECT_EQ(b.place, "prefix '" + prefix + "'");
    EXPECT_EQ(b.report.extra, (std::vector<std::string>{"criterion.pos_weight []"}));
    EXPECT_EQ(b.classes, 10);
  }
}

TEST_F(Checkpoints, wrappers_inside_names_are_taken_off) {
  for (const std::string wrapper :
       {"_orig_mod.", "module.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module."}) {
    auto leaves = network("module."), stages = network();
    for (auto& [name, tensor] : leaves) name.insert(name.rfind('.') + 1, wrapper);
    for (auto& [name, tensor] : stages)
      if (name.starts_with("layer")) name.insert(name.find('.') + 1, wrapper);
    const std::string without = "without '" + wrapper + "' in names";
    for (const auto& [items, place] :
         {std::pair(leaves, "prefix 'module.', " + without), {stages, without}}) {
      const Backbone b = load(write(items));
      EXPECT_EQ(b.identity, identity_) << wrapper;
      EXPECT_EQ(b.place, place);
      EXPECT_EQ(b.classes, 10);
    }
  }
}

TEST_F(Checkpoints, a_name_without_wrapper_keeps_its_tensor) {
  auto other = network("", 2);
  for (auto& [name, tensor] : other) name.insert(name.rfind('.') + 1, "_orig_mod.");
  const Backbone b = load(write(joined(other, network())));
  EXPECT_EQ(b.identity, identity_);
  EXPECT_EQ(b.report.extra.size(), other.size());
}

TEST_F(Checkpoints, tensors_outside_the_prefix_are_not_the_networks) {
  auto items = network("backbone.");
  std::erase_if(items, [](const auto& item) { return item.first.starts_with("backbone.linear."); });
  items.emplace_back("linear.weight", file_.tensor(std::vector<float>(64 * 3, 1), {3, 64}));
  const Backbone b = load(write(items));
  EXPECT_EQ(b.classes, 0);
  EXPECT_EQ(b.report.extra, (std::vector<std::string>{"linear.weight [3, 64]"}));
}

TEST_F(Checkpoints, the_better_fit_wins) {
  auto half = network("", 2);
  half.resize(80);
  EXPECT_EQ(
      load(write({{"state_dict", TorchFile::dict(half)}, {"model", TorchFile::dict(network())}})).identity,
      identity_);
  EXPECT_EQ(
      load(write({{"model", TorchFile::dict(network())}, {"state_dict", TorchFile::dict(half)}})).identity,
      identity_);
}

TEST_F(Checkpoints, two_networks_are_a_tie_and_section_decides) {
  WeightSource source =
      write({{"model", TorchFile::dict(network())}, {"model_ema", TorchFile::dict(network("module.", 2))}});
  const std::string said = message(source);
  EXPECT_SAYS(said, "2 networks fit equally well; choose one with --section or --prefix");
  EXPECT_SAYS(said, "--section 'model' --prefix '': resnet20, identity " + identity_.substr(0, 16));
  EXPECT_SAYS(said, "--section 'model_ema' --prefix 'module.': resnet20, identity " + other_.substr(0, 16));
  EXPECT_SAYS(message(source, "resnet20"), "2 networks fit equally well");
  source.section = "model_ema";
  EXPECT_EQ(load(source).identity, other_);
  source.section = "teacher";
  EXPECT_SAYS(message(source), "there is no state dict under --section 'teacher'; the file holds");
  EXPECT_SAYS(message(source), "--section 'model_ema': ");
  // Whoever knows the identity needs no option.
  source.section.reset();
  for (const auto& identity : {identity_, other_}) {
    source.identity = identity;
    EXPECT_EQ(load(source, "resnet20").identity, identity);
  }
}

TEST_F(Checkpoints, state_dicts_of_no_network_are_told) {
  WeightSource source =
      write({{"a", TorchFile::dict({{"w", scalar(1)}})}, {"b", TorchFile::dict({{"w", scalar(2)}})}});
  for (const auto& identity : {std::string(), identity_})
    for (const std::string arch : {"auto", "resnet20"}) {
      source.identity = identity;
      EXPECT_SAYS(message(source, arch), "it holds 2 state dicts, and none fits a network that clr knows");
    }
}

TEST_F(Checkpoints, equal_networks_are_no_tie) {
  EXPECT_EQ(load(write({{"model", TorchFile::dict(network())}, {"ema", TorchFile::dict(network())}})).place,
            "section 'model'");
}

TEST_F(Checkpoints, two_networks_in_one_state_dict_and_prefix_decides) {
  WeightSource source = write(joined(network("module.encoder_q."), network("module.encoder_k.", 2)));
  EXPECT_SAYS(message(source), "--prefix 'module.encoder_k.': resnet20");
  for (const std::string prefix : {"module.encoder_q.", "module.encoder_q"}) {
    source.prefix = prefix;
    EXPECT_EQ(load(source).identity, identity_);
  }
  source.prefix = "module.encoder_k.";
  EXPECT_EQ(load(source).identity, other_);
  source.prefix = "nothing.";
  EXPECT_SAYS(message(source), "has a name that begins with --prefix 'nothing.'");
  source.prefix = "";
  EXPECT_SAYS(message(source), "not those of a network that clr knows");
}

TEST_F(Checkpoints, tensors_that_the_network_does_not_need_never_refuse_it) {
  const std::string sparse = "ctorch._utils\n_rebuild_sparse_tensor\n(NNtR";
  EXPECT_EQ(load(write(joined(network(), {{"mask", sparse}}))).identity, identity_);
  auto items = network();
  for (auto& [name, value] : items)
    if (name == "layer2.1.conv1.weight") value = sparse;
  EXPECT_SAYS(message(write(items)),
              "missing  layer2.1.conv1.weight [32, 32, 3, 3]: in the file, but a sparse tensor");
  for (auto& [name, value] : items) value = sparse;
  EXPECT_SAYS(message(write(joined(items, {{"scale", scalar(1)}}))),
              "not read conv1.weight: a sparse tensor");
}

TEST_F(Checkpoints, numbers_that_are_none_are_refused_by_name) {
  const auto with = [&](const std::string& tensor, float value) {
    auto tensors = tiny_backbone();
    for (NamedTensor& t : tensors)
      if (t.name == tensor) t.tensor.mutable_data<float>()[9] = value;
    data::write_safetensors(dir_ / "bad.safetensors", tensors);
    return message(WeightSource(dir_ / "bad.safetensors"));
  };
  constexpr float inf = std::numeric_limits<float>::infinity();
  EXPECT_SAYS(with("layer2.0.bn1.running_var", std::nanf("")), "layer2.0.bn1.running_var[9] is nan");
  EXPECT_SAYS(with("layer2.0.bn1.running_var", -0.5F),
              "layer2.0.bn1.running_var[9] is -0.5, where a variance, finite and not negative was expected");
  EXPECT_SAYS(with("conv1.weight", -inf),
              "conv1.weight[0, 1, 0, 0] is -inf, where a finite number was expected");
  EXPECT_SAYS(with("linear.bias", inf), "linear.bias[9] is inf");
  EXPECT_EQ(with("layer2.0.bn1.running_var", 0), "loaded");
  EXPECT_EQ(with("layer2.0.bn1.running_mean", -0.5F), "loaded");
  // Beyond what the dtype computed in can hold.
  auto tensors = tiny_backbone();
  for (NamedTensor& t : tensors) t.tensor = t.tensor.to(DType::f64);
  tensors[0].tensor.mutable_data<double>()[0] = 1e300;
  data::write_safetensors(dir_ / "large.safetensors", tensors);
  EXPECT_SAYS(message(WeightSource(dir_ / "large.safetensors")), "is inf");
}

TEST_F(Checkpoints, a_loss_that_is_not_finite_stops_with_the_remedy_that_fits) {
  ASSERT_EQ(clr({"demo-data", dir_ / "data", "--count", "1", "--images", "12", "--size", "16"}).status, 0);
  const auto train = [&](const std::vector<NamedTensor>& backbone, const std::string& lr) {
    data::write_safetensors(dir_ / "b.safetensors", backbone);
    const Outcome o = clr({"train", "--backbone", dir_ / "b.safetensors", "--data", dir_ / "data", "--run",
                           dir_ / "run", "--epochs", "2", "--size", "16", "--lr", lr, "--restart"});
    EXPECT_EQ(o.status, 1);
    return o.err;
  };
  // Finite numbers whose products are not: in training from the first step on, or only where batch
  // norm uses its running statistics.
  auto weights = tiny_backbone(), statistics = weights;
  for (NamedTensor& t : weights)
    if (t.name == "bn1.weight") t.tensor = full({16}, 3e38);
  for (NamedTensor& t : statistics)
    if (t.name == "bn1.running_mean") t.tensor = full({16}, -3e38);
  const std::string at_once = train(weights, "1e-3"), later = train(statistics, "1e-3"),
                    diverged = train(tiny_backbone(), "1e38");
  EXPECT_SAYS(at_once, "the loss is ");
  EXPECT_SAYS(at_once, "the backbone's numbers are too large");
  EXPECT_SAYS(later, "the validation loss is ");
  EXPECT_SAYS(later, ", epoch 1");
  EXPECT_SAYS(later, "the backbone's numbers are too large");
  EXPECT_SAYS(diverged, " loss is ");
  EXPECT_SAYS(diverged, "a smaller --lr may help");
}

TEST(Logits, that_are_not_finite_are_told_with_their_image) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  try {
    clr::check_logits(tensor({2, 2}, {1, 2, 3, inf}),
                      [](std::int64_t row) { return row == 1 ? "b.png" : "a.png"; });
    FAIL() << "an infinite logit was let through";
  } catch (const Error& e) {
    EXPECT_SAYS(std::string(e.what()), "b.png: logit 1 is inf");
  }
}

TEST(Logits, of_other_images_are_not_looked_at) {
  const Tensor both = tensor({2, 2}, {1, 2, HUGE_VALF, 4}).to(DType::f64);
  EXPECT_NO_THROW(clr::check_logits(both.rows(0, 1), [](std::int64_t) { return "a.png"; }));
}

TEST_F(Checkpoints, info_lists_candidates_and_convert_needs_a_section) {
  const auto small = [&](float value) { return TorchFile::dict({{"w", scalar(value)}}); };
  const std::string path = write({{"a", small(1)}, {"b", TorchFile::dict({{"net", small(2)}})}}).path;
  const Outcome info = clr({"info", path});
  EXPECT_EQ(info.status, 0);
  EXPECT_SAYS(info.out, "--section 'a': 1 tensors, the first is w");
  EXPECT_SAYS(info.out, "--section 'b.net': 1 tensors");
  const Outcome refused = clr({"convert", path, dir_ / "out.safetensors"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_SAYS(refused.err, "holds 2 state dicts, and none fits");
  EXPECT_FALSE(exists(dir_ / "out.safetensors"));
  for (const char* section : {"b.net", "b", "net"}) {
    EXPECT_EQ(clr({"convert", path, dir_ / "out.safetensors", "--section", section}).status, 0) << section;
    EXPECT_EQ(data::read_weights(dir_ / "out.safetensors").find("w")->item(), 2);
  }
}

TEST_F(Checkpoints, convert_keeps_names_unless_a_prefix_is_asked_for) {
  const std::string path =
      write({{"best", scalar(1)},
             {"state_dict", TorchFile::dict(joined(network("module."), {{"n", scalar(2)}}))}})
          .path;
  const std::string out = dir_ / "out.safetensors";
  const Outcome plain = clr({"convert", path, out});
  EXPECT_SAYS(plain.out, "section 'state_dict'");
  EXPECT_SAYS(plain.out, "skipped  best: a tensor");
  EXPECT_NE(data::read_weights(out).find("module.conv1.weight"), nullptr);
  const Outcome without = clr({"convert", path, out, "--prefix", "module."});
  EXPECT_SAYS(without.out, "skipped  n: not under --prefix module.");
  EXPECT_NE(data::read_weights(out).find("conv1.weight"), nullptr);
  EXPECT_EQ(data::read_weights(out).find("n"), nullptr);
}

}  // namespace
}  // namespace reprise::test
