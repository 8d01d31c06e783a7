// Fitting a file's tensors to a network: prefixes, heads; missing, extra and mis-shaped tensors.
#include <gtest/gtest.h>

#include <fstream>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/errors.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "layers/network.h"
#include "layers/state_dict.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using clr::Backbone;
using data::NamedTensor;

Backbone load(const std::string& path, const std::string& arch = "auto", const std::string& until = {}) {
  return clr::load_backbone(path, arch, cpu_device, DType::f32, {until});
}

// Returns load()'s message, or "loaded".
std::string message(const std::string& path, const std::string& arch = "auto") {
  try {
    load(path, arch);
    return "loaded";
  } catch (const Error& e) {
    return e.what();
  }
}

class Loading : public testing::Test {
 protected:
  std::string write(const std::vector<NamedTensor>& tensors, const std::string& name = "file.safetensors") {
    data::write_safetensors(dir / name, tensors);
    return dir / name;
  }
  TempDir dir;
};

TEST_F(Loading, finds_the_architecture_and_seals) {
  const Backbone b = load(write(tiny_backbone()));
  EXPECT_EQ(b.arch, "resnet20");
  EXPECT_EQ(b.classes, 10);
  EXPECT_EQ(b.size, 32);
  EXPECT_EQ(b.parameters(), 269722);
  EXPECT_EQ(b.identity.size(), 64U);
  EXPECT_EQ(b.report.matched.size(), b.weights.size());
  for (const auto& [name, tensor] : b.weights) EXPECT_TRUE(tensor.is_sealed()) << name;
  EXPECT_NO_THROW(b.verify());
}

TEST_F(Loading, wrappers_prefixes_make_no_difference) {
  const Backbone plain = load(write(tiny_backbone()));
  for (const std::string prefix : {"module.", "model.", "module.model."}) {
    auto tensors = tiny_backbone();
    for (NamedTensor& t : tensors) t.name = prefix + t.name;
    const Backbone b = load(write(tensors));
    EXPECT_EQ(b.identity, plain.identity) << prefix;
    EXPECT_EQ(b.weights.count("conv1.weight"), 1U) << prefix;
  }
}

TEST_F(Loading, the_form_of_the_file_makes_no_difference_to_the_identity) {
  const auto tensors = tiny_backbone();
  data::write_pth(dir / "file.pth", tensors);
  const Backbone a = load(write(tensors)), b = load(dir / "file.pth");
  EXPECT_EQ(a.identity, b.identity);
  EXPECT_NE(a.file_sha256, b.file_sha256);
}

TEST_F(Loading, the_identity_is_of_the_body_alone) {
  const Backbone a = load(write(tiny_backbone(1, 10)));
  auto counted = tiny_backbone(1, 10);
  counted.push_back({"bn1.num_batches_tracked", tensor({1}, std::vector<std::int64_t>{7})});
  EXPECT_EQ(load(write(counted)).identity, a.identity);
  EXPECT_TRUE(load(write(counted)).report.extra.empty());
  auto changed = tiny_backbone(1, 10);
  for (NamedTensor& t : changed)
    if (t.name == "layer2.1.bn1.running_mean") t.tensor.mutable_data<float>()[3] += 1e-3F;
  EXPECT_NE(load(write(changed)).identity, a.identity);
  for (NamedTensor& t : changed = tiny_backbone(1, 10))
    if (t.name == "linear.bias") t.tensor.mutable_data<float>()[0] += 1;
  EXPECT_EQ(load(write(changed)).identity, a.identity);
}

TEST_F(Loading, a_head_of_any_size_or_none_is_fine) {
  EXPECT_EQ(load(write(tiny_backbone(1, 37))).classes, 37);
  auto tensors = tiny_backbone();
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name.starts_with("linear."); });
  EXPECT_EQ(load(write(tensors)).classes, 0);
  tensors.push_back({"linear.weight", zeros({10, 99})});
  tensors.push_back({"linear.bias", zeros({10})});
  const Backbone b = load(write(tensors));
  EXPECT_EQ(b.classes, 0);
  ASSERT_FALSE(b.report.shape_differs.empty());
  EXPECT_SAYS(b.report.shape_differs[0], "linear.weight: [10, 99] f32 in the file");
}

TEST_F(Loading, missing_tensors_are_listed) {
  auto tensors = tiny_backbone();
  std::erase_if(tensors, [](const NamedTensor& t) {
    return t.name == "layer1.2.conv2.weight" || t.name == "layer3.0.bn1.bias";
  });
  const std::string said = message(write(tensors));
  EXPECT_SAYS(said, "do not fit resnet20");
  EXPECT_SAYS(said, "missing  layer1.2.conv2.weight [16, 16, 3, 3]");
  EXPECT_SAYS(said, "missing  layer3.0.bn1.bias [64]");
}

TEST_F(Loading, extra_tensors_are_listed_and_do_no_harm) {
  auto tensors = tiny_backbone();
  tensors.push_back({"layer9.surplus", zeros({2, 3})});
  const Backbone b = load(write(tensors));
  ASSERT_EQ(b.report.extra.size(), 1U);
  EXPECT_EQ(b.report.extra[0], "layer9.surplus [2, 3]");
  EXPECT_SAYS(b.describe(), "extra    layer9.surplus [2, 3]");
}

TEST_F(Loading, misshaped_tensors_and_other_dtypes_are_errors) {
  auto tensors = tiny_backbone();
  for (NamedTensor& t : tensors) {
    if (t.name == "layer1.0.conv1.weight") t.tensor = zeros({16, 16, 5, 5});
    if (t.name == "bn1.weight") t.tensor = zeros({16}, DType::i64);
  }
  const std::string said = message(write(tensors));
  EXPECT_SAYS(said, "layer1.0.conv1.weight: [16, 16, 5, 5] f32 in the file, [16, 16, 3, 3] in the network");
  EXPECT_SAYS(said, "bn1.weight: [16] i64 in the file");
}

TEST_F(Loading, a_file_that_does_not_fit_the_architecture_asked_for) {
  const std::string path = write(tiny_backbone());
  const std::string said = message(path, "resnet32");
  EXPECT_SAYS(said, "do not fit resnet32");
  EXPECT_SAYS(said, "missing  layer1.3.conv1.weight");
  EXPECT_SAYS(message(path, "resnet18"),
              "conv1.weight: [16, 3, 3, 3] f32 in the file, [64, 3, 7, 7] in the network");
  EXPECT_THROW(load(path, "resnet19"), clr::BadValue);
  EXPECT_SAYS(message(path, "resnet19"), "resnet18, resnet34");
}

// A ResNet-32's file has every tensor of a ResNet-20, by name and shape.
TEST_F(Loading, a_smaller_architecture_asked_for_than_the_file_holds) {
  const auto larger = layers::make_network("resnet32", 10);
  larger->initialize(0);
  const std::string path = write(layers::state_dict(*larger));
  const std::string said = message(path, "resnet20");
  EXPECT_SAYS(said, "do not fit resnet20: they are those of resnet32");
  EXPECT_SAYS(said, "extra    layer1.3.conv1.weight");
  EXPECT_EQ(message(path, "resnet32"), "loaded");
}

// ResNet-32 begins as ResNet-20 does. Neither knows the surplus tensor.
TEST_F(Loading, an_architecture_asked_for_up_to_a_module_need_not_be_the_one_that_fits) {
  auto tensors = tiny_backbone();
  tensors.push_back({"layer9.surplus", zeros({2, 3})});
  const Backbone b = load(write(tensors), "resnet32", "layer1.2");
  EXPECT_EQ(b.arch, "resnet32");
  const auto network = b.pretrained();
  EXPECT_FALSE(network->is_training());
  EXPECT_TRUE(network->trained_parameters().empty());
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name == "layer1.0.conv1.weight"; });
  EXPECT_THROW(load(write(tensors), "resnet32", "layer1.2"), Error) << "it lies before the module";
}

TEST_F(Loading, sizes_of_heads_and_how_many_tensors_must_fit) {
  const auto network = layers::make_network("resnet20", 1);
  for (const auto& [rows, classes] : {std::pair(0, 0), {1, 1}, {1'000'000, 1'000'000}, {1'000'001, 0}})
    EXPECT_EQ(clr::classes_of({{"linear.weight", empty({rows, 64}, DType::bf16)},
                               {"linear.bias", empty({rows}, DType::bf16)}},
                              *network),
              classes);
  layers::LoadReport report;
  report.matched = {"a", "b"};
  report.missing = {"c"};
  report.shape_differs = {"d"};
  EXPECT_TRUE(clr::fits_mostly(report));
  report.missing.emplace_back("e");
  EXPECT_FALSE(clr::fits_mostly(report));
}

TEST_F(Loading, a_recorded_size_is_1_to_8192_pixels) {
  for (const auto& [text, size] : {std::pair("1", 1), {"8192", 8192}, {"0", 0}, {"8193", 0}, {"\"8\"", 0}})
    EXPECT_EQ(clr::preprocessed_size("{\"size\": " + std::string(text) + "}"), size) << text;
  for (const char* text : {"[8]", "{", ""}) EXPECT_EQ(clr::preprocessed_size(text), 0) << text;
}

TEST_F(Loading, a_network_that_is_not_known_names_those_that_are) {
  const std::string said = message(write({{"encoder.weight", zeros({3, 3})}}));
  EXPECT_SAYS(said, "not those of a network that clr knows");
  EXPECT_SAYS(said, "resnet20");
}

TEST_F(Loading, files_that_are_no_weight_files) {
  EXPECT_SAYS(message(dir / "absent.pth"), "absent.pth");
  EXPECT_SAYS(message(dir.path()), dir.path());
  write_text(dir / "text.pth", "not weights at all\n");
  EXPECT_SAYS(message(dir / "text.pth"), "text.pth");
  write_text(dir / "empty.pth", "");
  EXPECT_SAYS(message(dir / "empty.pth"), "empty.pth");
}

TEST_F(Loading, every_kind_of_truncation_is_an_error) {
  const std::string whole = read_text(write(tiny_backbone()));
  const std::size_t cuts[] = {1, 7, 8, 9, 100, 5000, whole.size() / 2, whole.size() - 4, whole.size() - 1};
  for (const std::size_t n : cuts) {
    write_text(dir / "cut.safetensors", whole.substr(0, n));
    EXPECT_THROW(load(dir / "cut.safetensors"), Error) << n;
  }
}

TEST_F(Loading, other_precisions_are_read) {
  auto tensors = tiny_backbone();
  for (NamedTensor& t : tensors) t.tensor = t.tensor.to(DType::f64);
  const Backbone b = load(write(tensors));
  EXPECT_EQ(b.weights.at("conv1.weight").dtype(), DType::f32);
}

TEST_F(Loading, what_a_file_records_is_used) {
  const auto metadata = clr::backbone_metadata("resnet20", 48, {"a", "b\"c"});
  data::write_safetensors(dir / "own.safetensors", tiny_backbone(1, 2), metadata);
  const Backbone b = load(dir / "own.safetensors");
  EXPECT_EQ(b.size, 48);
}

TEST_F(Loading, a_task_network_shares_what_is_frozen_and_owns_what_is_trained) {
  const Backbone b = load(write(tiny_backbone()));
  const auto first = b.instantiate("clr", 4, 0, "first"), second = b.instantiate("clr", 4, 0, "second");
  int shared = 0;
  for (const layers::Entry& e : first->named_tensors()) {
    const auto w = b.weights.find(e.name);
    if (e.name.starts_with("linear.") || w == b.weights.end()) continue;
    const bool same = e.tensor->storage() == w->second.storage();
    EXPECT_EQ(same, e.layout == FileLayout::conv) << e.name;
    EXPECT_EQ(same, e.tensor->is_sealed()) << e.name;
    shared += same;
  }
  EXPECT_EQ(shared, 19);
  EXPECT_TRUE(requires_grad(first->head().weight));
  EXPECT_EQ(first->head().weight.shape(), (Shape{4, 64}));
  EXPECT_GT(relative_difference(first->head().weight, second->head().weight), 0.1) << "one stream a task";
  const auto again = b.instantiate("clr", 4, 0, "first");
  EXPECT_EQ(relative_difference(first->head().weight, again->head().weight), 0);

  const auto linear = b.instantiate("linear", 4, 0, "first");
  for (const layers::ConstEntry& e : linear->body()) EXPECT_TRUE(e.tensor->is_sealed()) << e.name;
}

}  // namespace
}  // namespace reprise::test
