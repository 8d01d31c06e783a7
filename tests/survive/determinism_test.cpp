// The determinism contract, over whole trainings:
// task files and outputs are compared byte for byte.
#include <filesystem>

#include "data/weights/weight_file.h"
#include "engine/kernels/cpu/base/isa.h"
#include "tests/survive/survive.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;

class Determinism : public Survive {
 protected:
  std::map<std::string, std::string> learned(const std::string& run,
                                             const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = train(run);
    for (std::size_t i = 0; i + 1 < more.size(); i += 2) {
      const auto at = std::find(arguments.begin(), arguments.end(), more[i]);
      if (at != arguments.end())
        *(at + 1) = more[i + 1];
      else
        arguments.insert(arguments.end(), {more[i], more[i + 1]});
    }
    const Outcome o = clr(arguments);
    EXPECT_EQ(o.status, 0) << o.err;
    return task_files(run);
  }
};

const std::vector<std::string> dtypes{"f32", "bf16"};

TEST_F(Determinism, any_number_of_threads) {
  for (const std::string method : {"clr", "linear", "finetune"})
    for (const std::string& dtype : dtypes) {
      std::map<std::string, std::string> first;
      for (const std::string threads : {"1", "2", "3", "8"}) {
        const auto files =
            learned(method + dtype + threads, {"--method", method, "--dtype", dtype, "--threads", threads});
        ASSERT_EQ(files.size(), 3u);
        if (first.empty()) first = files;
        EXPECT_TRUE(files == first) << method << " " << dtype << ", " << threads << " threads";
      }
    }
}

TEST_F(Determinism, any_order_of_tasks_and_any_company) {
  for (const std::string tasks : {"three,two,one", "two,one,three", "one,three,two"})
    EXPECT_TRUE(learned("in" + tasks, {"--tasks", tasks}) == whole()) << tasks;
  for (const std::string task : {"one", "two", "three"}) {
    const auto alone = learned("alone" + task, {"--tasks", task});
    EXPECT_TRUE(alone.at(task + ".safetensors") == whole().at(task + ".safetensors")) << task;
  }
}

TEST_F(Determinism, pixels_from_memory_and_from_a_cache_file_new_and_old) {
  const Environment none("REPRISE_CACHE_MB", "0"), place("REPRISE_CACHE_DIR", dir / "cache");
  EXPECT_TRUE(learned("cold") == whole());
  ASSERT_FALSE(fs::is_empty(dir / "cache"));
  EXPECT_TRUE(learned("warm") == whole());
}

TEST_F(Determinism, every_instruction_set_repeats_itself) {
  for (const std::string isa : {"portable", "avx2"}) {
    const Environment set("REPRISE_CPU_ISA", isa);
    const auto first = learned(isa + "1");
    EXPECT_TRUE(learned(isa + "3", {"--threads", "3"}) == first) << isa;
    EXPECT_TRUE(learned(isa + "back", {"--tasks", "three,two,one"}) == first) << isa;
  }
}

// vdpbf16ps adds a pair's odd product first and tdpbf16ps sums in blocks.
// The code without them does the same.
TEST_F(Determinism, bf16_has_the_same_bits_with_and_without_its_instructions) {
  if (kernels::cpu::cpu_isa() < kernels::cpu::Isa::avx512bf16)
    GTEST_SKIP() << "this machine has none for bf16";
  std::map<std::string, std::map<std::string, std::string>> with;
  for (const std::string order : {"pairs", "blocks"}) {
    with[order] = learned("with_" + order, {"--dtype", "bf16", "--bf16-order", order});
    EXPECT_FALSE(with[order] == whole());
    const Environment set("REPRISE_CPU_ISA", "avx512");
    EXPECT_TRUE(learned("without_" + order, {"--dtype", "bf16", "--bf16-order", order}) == with[order]);
  }
  EXPECT_FALSE(with["pairs"] == with["blocks"]);
}

// In evaluation an image's features and logits do not depend on the other images of its batch.
TEST_F(Determinism, an_image_does_not_see_its_neighbours) {
  whole();
  const Tensor images = noise_images(7, 8);
  const auto outputs = [&](std::int64_t begin, std::int64_t end, const std::string& dtype) {
    data::write_safetensors(dir / "in.safetensors", {{"images", images.rows(begin, end).clone()}});
    const Outcome o = clr({"forward", "--backbone", dir / "backbone.safetensors", "--task",
                           dir / "whole/tasks/one.safetensors", "--input", dir / "in.safetensors", "--output",
                           dir / "out.safetensors", "--device", "cpu", "--dtype", dtype});
    EXPECT_EQ(o.status, 0) << o.err;
    std::map<std::string, Tensor> by_name;
    for (auto& [name, tensor] : data::read_weights(dir / "out.safetensors").tensors) by_name[name] = tensor;
    return by_name;
  };
  for (const std::string isa : {"portable", "avx2", "avx512"})
    for (const std::string& dtype : dtypes) {
      const Environment set("REPRISE_CPU_ISA", isa);
      const auto all = outputs(0, 7, dtype);
      for (const auto& [begin, end] : {std::pair{0, 1}, {3, 4}, {6, 7}, {0, 2}, {2, 7}}) {
        for (const auto& [name, some] : outputs(begin, end, dtype)) {
          ASSERT_TRUE(name == "features" || name == "logits");
          const auto part = all.at(name).rows(begin, end).clone().raw_bytes();
          EXPECT_TRUE(std::ranges::equal(some.raw_bytes(), part)) << isa << dtype << name << begin << end;
        }
      }
    }
}

}  // namespace
}  // namespace reprise::test
