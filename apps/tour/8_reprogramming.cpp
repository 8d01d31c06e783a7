// Reprogramming: one network, three tasks. Fine-tuning overwrites old
// tasks with new ones; channel-wise lightweight reprogramming (CLR)
// freezes the backbone and gives each task a few small tensors of its own.
#include <cstdio>
#include <string>
#include <vector>

#include "apps/tour/small_backbone.h"
#include "engine/base/sha256.h"

using namespace reprise;

namespace {

// Copies of those tensors of the network that a task keeps.
using Memory = std::vector<Tensor>;

Memory remember(const std::vector<layers::Entry>& entries) {
  Memory memory;
  for (const layers::Entry& e : entries) memory.push_back(e.tensor->clone());
  return memory;
}

void recall(const std::vector<layers::Entry>& entries, const Memory& memory) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    *entries[i].tensor = memory[i].clone();
    set_requires_grad(*entries[i].tensor, !entries[i].is_buffer);
  }
}

std::int64_t numbers_in(const Memory& memory) {
  std::int64_t numbers = 0;
  for (const Tensor& t : memory) numbers += t.numel();
  return numbers;
}

// Returns a short fingerprint of the bits of all convolutions: other weights have another one.
std::string digest(const layers::Network& network) {
  Sha256 sha;
  for (const layers::ConstEntry& e : network.body())
    if (e.layout == FileLayout::conv) sha.update(e.tensor->raw_bytes());
  return sha.hex().substr(0, 8);
}

struct Life {
  std::vector<std::vector<double>> accuracy;  // of each task 0..i, after learning task i
  std::vector<std::string> digests;           // of the convolutions, after learning task i
  std::vector<Memory> memory;                 // the tensors that task i keeps
};

// Pretrains a network on the first task, then learns the others one after the
// other. With fine-tuning all tasks share the network, and a task keeps only its
// head. With any other method a task keeps the tensors that the method trains.
Life live(const std::string& method, const std::vector<tour::Task>& tasks) {
  tour::SmallBackbone network(tasks[0].classes);
  network.initialize(/*seed=*/0);
  tour::learn(network, tasks[0], 400);

  const bool train_mode = layers::apply_method(network, method).train_mode;
  network.seal_frozen();  // from here on, writing to a frozen weight is an error
  const auto kept = [&] {
    return method == "finetune" ? network.head().own_tensors() : layers::task_tensors(network);
  };

  Life life;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (i > 0) {
      recall(kept(), life.memory[0]);  // the pretrained values; in fine-tuning only the head's
      network.replace_head(tasks[i].classes, {/*seed=*/0, tasks[i].name + "/"});
      network.train(train_mode);
      tour::learn(network, tasks[i], 200);
    }
    life.memory.push_back(remember(kept()));
    life.digests.push_back(digest(network));
    life.accuracy.emplace_back();
    network.train(false);
    for (std::size_t j = 0; j <= i; ++j) {
      recall(kept(), life.memory[j]);
      life.accuracy[i].push_back(tour::accuracy(network, tasks[j].test));
    }
  }
  return life;
}

void print(const char* title, const std::vector<tour::Task>& tasks, const Life& life) {
  std::printf("\n%s\n  after     ", title);
  for (const tour::Task& task : tasks) std::printf("%10s", task.name.c_str());
  std::printf("   convolutions   a task keeps\n");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    std::printf("  %-10s", tasks[i].name.c_str());
    for (std::size_t j = 0; j < tasks.size(); ++j)
      j <= i ? std::printf("%8.1f %%", 100 * life.accuracy[i][j]) : std::printf("%10s", "");
    std::printf("   %-12s %6lld numbers\n", life.digests[i].c_str(),
                static_cast<long long>(numbers_in(life.memory[i])));
  }
}

std::vector<tour::Task> three_tasks() {
  return {tour::make_task("digits", tour::digits, {}),
          tour::make_task("letters", tour::letters, {.ink = -1, .paper = 1}),
          tour::make_task("symbols", tour::symbols, {.noise = 0.8})};
}

}  // namespace

int main() {
  const std::vector<tour::Task> tasks = three_tasks();
  for (const tour::Task& task : tasks) tour::print(task.train, 5);

  const Life tuned = live("finetune", tasks), reprogrammed = live("clr", tasks);
  print("fine-tuning", tasks, tuned);
  print("CLR", tasks, reprogrammed);

  const auto& a = tuned.accuracy;
  const auto& b = reprogrammed.accuracy;
  const bool both_learn = b[0][0] > 0.9 && a[1][1] > 0.9 && b[1][1] > 0.9 && a[2][2] > 0.8 && b[2][2] > 0.8;
  const bool first_dies = a[0][0] == b[0][0] && a[2][0] < 0.4;
  const bool nothing_forgotten = b[2][0] == b[0][0] && b[1][0] == b[0][0] && b[2][1] == b[1][1];
  const bool backbone_stays =
      reprogrammed.digests[2] == reprogrammed.digests[0] && tuned.digests[2] != tuned.digests[0];
  return both_learn && first_dies && nothing_forgotten && backbone_stays ? 0 : 1;
}
