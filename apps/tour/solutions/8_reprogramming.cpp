// One way to do the exercises of lesson 8. It includes the lesson's program and renames its main.
#define main lesson
#include "apps/tour/8_reprogramming.cpp"
#undef main

#include <algorithm>

namespace {

bool same_bits(const Memory& a, const Memory& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& s, const Tensor& t) {
    return std::ranges::equal(s.raw_bytes(), t.raw_bytes());
  });
}

// 4. Fine-tunes on the letters, then puts all tensors but the convolutions
// back as the digits had them. Returns the accuracy on the digits.
double digits_with_their_own_batch_norms(const std::vector<tour::Task>& tasks) {
  tour::SmallBackbone network(tasks[0].classes);
  network.initialize(/*seed=*/0);
  tour::learn(network, tasks[0], 400);
  layers::apply_method(network, "finetune");
  std::vector<layers::Entry> without_convolutions;
  for (const layers::Entry& e : layers::task_tensors(network))
    if (e.layout != FileLayout::conv) without_convolutions.push_back(e);
  const Memory digits = remember(without_convolutions);
  network.replace_head(tasks[1].classes, {/*seed=*/0, tasks[1].name + "/"});
  tour::learn(network, tasks[1], 200);
  recall(without_convolutions, digits);
  network.train(false);
  return tour::accuracy(network, tasks[0].test);
}

}  // namespace

int main() {
  const std::vector<tour::Task> tasks = three_tasks();

  // 1. Only the head.
  const Life clr = live("clr", tasks), linear = live("linear", tasks);
  print("CLR", tasks, clr);
  print("only the head", tasks, linear);

  // 2. What a task costs with torchvision's ResNet-18.
  const auto network = layers::make_network("resnet18", /*classes=*/10);
  layers::apply_method(*network, "clr");
  const layers::TaskCost cost = layers::cost_of(*network);
  std::printf("\nResNet-18, ten classes: a task keeps %lld of %lld bytes (%.2f %%)\n",
              static_cast<long long>(cost.bytes()), static_cast<long long>(cost.network_bytes()),
              100.0 * static_cast<double>(cost.bytes()) / static_cast<double>(cost.network_bytes()));

  // 3. The tasks in another order.
  const Life swapped = live("clr", {tasks[0], tasks[2], tasks[1]});
  const bool order_is_nothing =
      same_bits(clr.memory[1], swapped.memory[2]) && same_bits(clr.memory[2], swapped.memory[1]);
  std::printf("letters before symbols or after: %s\n", order_is_nothing ? "the same bits" : "other bits");

  const double revived = digits_with_their_own_batch_norms(tasks);
  std::printf("fine-tuned convolutions, the digits' own batch norms and head: %.1f %% of the digits\n",
              100 * revived);

  const auto& a = linear.accuracy;
  const bool linear_forgets_nothing = a[2][0] == a[0][0] && a[2][1] == a[1][1];
  const bool clr_learns_more = clr.accuracy[2][1] > a[2][1] + 0.1 && clr.accuracy[2][2] > a[2][2] + 0.1;
  return linear_forgets_nothing && clr_learns_more && order_is_nothing && revived < 0.4 &&
                 cost.bytes() < cost.network_bytes() / 100
             ? 0
             : 1;
}
