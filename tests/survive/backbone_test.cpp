// The backbone cannot change. A file with one flipped bit is another backbone;
// a file with another name or format is the same. The copy in memory is verified after every task.
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <filesystem>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/session.h"
#include "data/weights/weight_file.h"
#include "engine/base/error.h"
#include "engine/core/storage.h"
#include "tests/survive/survive.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using reprise::clr::Backbone;

class BackboneFile : public Survive {
 protected:
  Outcome predict(const std::string& backbone) const {
    return clr({"predict", "--task", dir / "whole/tasks/one.safetensors", "--backbone", backbone,
                dir / "data/one/class0/0.ppm", "--json"});
  }
};

TEST_F(BackboneFile, under_another_name_and_in_another_form_is_the_same) {
  whole();
  const std::string file = dir / "backbone.safetensors";
  const Outcome expected = predict(file);
  ASSERT_EQ(expected.status, 0) << expected.err;
  fs::copy_file(file, dir / "renamed");
  ASSERT_EQ(clr({"convert", file, dir / "converted.pth"}).status, 0);
  ASSERT_EQ(clr({"convert", dir / "converted.pth", dir / "back.safetensors"}).status, 0);
  for (const std::string other : {"renamed", "converted.pth", "back.safetensors"}) {
    const Outcome o = predict(dir / other);
    EXPECT_EQ(o.status, 0) << o.err;
    EXPECT_EQ(o.out, expected.out) << other;
  }
}

TEST_F(BackboneFile, with_one_bit_flipped_is_refused_by_name) {
  whole();
  const data::WeightFile file = data::read_weights(dir / "backbone.safetensors");
  for (const std::string name : {"conv1.weight", "layer2.0.bn1.running_var", "layer3.2.conv2.weight"}) {
    std::vector<data::NamedTensor> tensors;
    for (const auto& t : file.tensors) {
      tensors.push_back({t.name, t.tensor.clone()});
      auto* last = tensors.back().tensor.mutable_data<float>() + t.tensor.numel() - 1;
      if (t.name == name) *last = std::bit_cast<float>(std::bit_cast<std::uint32_t>(*last) ^ 1U);
    }
    data::write_safetensors(dir / "flipped.safetensors", tensors);
    const Outcome o = predict(dir / "flipped.safetensors");
    EXPECT_EQ(o.status, 1) << name;
    EXPECT_NE(o.err.find("another backbone"), std::string::npos) << o.err;
    EXPECT_NE(o.err.find("flipped.safetensors"), std::string::npos) << o.err;
  }
  write_text(dir / "backbone.safetensors", read_text(dir / "flipped.safetensors"));
  const Outcome o = clr(train("whole"));
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("--backbone"), std::string::npos) << o.err;
}

TEST_F(BackboneFile, is_as_it_was_after_every_task) {
  const std::string before = read_text(dir / "backbone.safetensors");
  fs::permissions(dir / "backbone.safetensors", fs::perms::owner_read);
  for (const std::string method : {"clr", "clr-full", "clr-mixed", "linear", "bn-only", "finetune"}) {
    auto arguments = train(method);
    arguments.insert(arguments.end(), {"--method", method});
    const Outcome o = clr(arguments);
    ASSERT_EQ(o.status, 0) << o.err;
    EXPECT_TRUE(read_text(dir / "backbone.safetensors") == before) << method;
  }
}

// A bit of sealed memory is flipped while the program runs, as by a memory fault.
// The task being learned is not written.
TEST_F(BackboneFile, changed_in_memory_stops_the_training) {
  const Backbone backbone =
      reprise::clr::load_backbone(dir / "backbone.safetensors", "auto", cpu_device, DType::f32);
  auto* at = const_cast<std::byte*>(backbone.weights.at("layer2.1.conv1.weight").storage()->data());
  const auto flip = [&] {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    void* start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(at) / page * page);
    ASSERT_EQ(mprotect(start, page, PROT_READ | PROT_WRITE), 0);
    *at ^= std::byte{1};
    ASSERT_EQ(mprotect(start, page, PROT_READ), 0);
  };
  reprise::clr::SessionOptions options;
  options.data = dir / "data";
  options.run = dir / "run";
  options.quiet = true;
  options.recipe.size = 8;
  options.recipe.epochs = 1;
  options.recipe.batch = 4;
  options.on_finished = [&](const data::Task& task, const reprise::clr::TaskFile&, const std::string&) {
    if (task.name == "one") flip();
  };
  reprise::clr::TrainingObserver nobody;
  reprise::clr::Session session(backbone, options, nobody);
  session.prepare();
  try {
    session.run();
    ADD_FAILURE() << "nobody noticed";
  } catch (const Error& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("have changed since they were loaded"), std::string::npos) << message;
    EXPECT_NE(message.find("layer2.1.conv1.weight"), std::string::npos) << message;
  }
  EXPECT_TRUE(exists(dir / "run/tasks/one.safetensors"));
  EXPECT_FALSE(exists(dir / "run/tasks/three.safetensors"));
}

}  // namespace
}  // namespace reprise::test
