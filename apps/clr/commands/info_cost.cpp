// clr info --method: prints what a task would cost, without any task file.
#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/pack.h"
#include "layers/reprogramming/cost.h"

namespace reprise::clr {
namespace {

struct MethodCost {
  std::string method, error;  // error: why the method cannot be used on the architecture
  layers::TaskCost cost;
  layers::MultiplyAdds work;
  std::map<std::string, std::int64_t> packed;  // bytes by form
};

MethodCost cost_of_method(const std::string& arch, const std::string& method, int classes, int size,
                          bool only) {
  MethodCost c;
  c.method = method;
  try {
    auto network = layers::make_network(arch, classes);
    layers::apply_method(*network, method);
    c.cost = layers::cost_of(*network);
    c.work = layers::multiply_adds_of(*network, size, size);
    c.packed = packed_bytes(arch, method, classes);
  } catch (const Error& e) {
    if (only) throw;
    const std::string text = e.what();
    c.error = text.substr(0, text.find('\n'));
  }
  return c;
}

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

std::string spelled(std::int64_t part, std::int64_t whole, std::string_view what) {
  return fmt::format("  {} of {} = {}  {}\n", grouped(part), grouped(whole), percent(ratio(part, whole), 3),
                     what);
}

std::string text_of(const MethodCost& m) {
  const layers::TaskCost& c = m.cost;
  Table table({"a task stores", "numbers", "bytes"});
  const auto row = [&](const char* what, std::int64_t n) {
    table.row({what, grouped(n), grouped(n * c.number_bytes)});
  };
  row("kernels (layers that the method adds)", c.reprogramming);
  if (c.convolutions > 0) row("convolutions", c.convolutions);
  row("batch norm, scale and shift", c.batch_norm);
  row("batch norm, running statistics", c.statistics);
  row("head", c.head);
  table.rule();
  row("together", c.without_head() + c.head);
  row("the whole network instead", c.network_numbers);
  std::string text = table.text() + "\n";
  text += spelled(c.without_head(), c.body_parameters,
                  "what is stored without the head, of the backbone's parameters without its head");
  text += spelled(c.parameters(), c.network_parameters,
                  "parameters of the task with its head, of the whole network; no statistics");
  text += spelled(c.bytes(), c.network_bytes(), "bytes, with statistics and head, of the whole network");
  for (const auto& [form, bytes] : m.packed)
    text += spelled(bytes, c.network_bytes(),
                    fmt::format("bytes, packed for prediction (clr convert --pack {})", form));
  return text +
         spelled(m.work.added, m.work.backbone, "multiply-adds added, of the backbone's with its head");
}

std::string text_of(const std::vector<MethodCost>& all) {
  Table table({"method", "kernels", "convolutions", "bn affine", "bn statistics", "head", "bytes", "fold",
               "f16", "int8", "of body", "of network", "of bytes", "int8 of bytes", "multiply-adds"});
  std::string notes;
  for (const MethodCost& m : all) {
    const layers::TaskCost& c = m.cost;
    if (!m.error.empty()) {
      notes += m.error + "\n";
      continue;
    }
    table.row({m.method, grouped(c.reprogramming), grouped(c.convolutions), grouped(c.batch_norm),
               grouped(c.statistics), grouped(c.head), grouped(c.bytes()), grouped(m.packed.at("fold")),
               grouped(m.packed.at("f16")), grouped(m.packed.at("int8")),
               percent(ratio(c.without_head(), c.body_parameters), 3),
               percent(ratio(c.parameters(), c.network_parameters), 3),
               percent(ratio(c.bytes(), c.network_bytes()), 3),
               percent(ratio(m.packed.at("int8"), c.network_bytes()), 3),
               "+" + percent(ratio(m.work.added, m.work.backbone), 3)});
  }
  for (const MethodCost& m : all) {
    if (!m.error.empty()) continue;
    notes += fmt::format(
        "of body: (kernels + convolutions + bn affine + bn statistics) / {} (the backbone's parameters "
        "without its head)\nof network: (kernels + convolutions + bn affine + head) / {} (the same with "
        "the task's head)\nof bytes: bytes / {} (the whole network's); fold, f16, int8: bytes of packed "
        "files (clr convert --pack); multiply-adds: added / {} (the "
        "network's, for one image)\n",
        grouped(m.cost.body_parameters), grouped(m.cost.network_parameters), grouped(m.cost.network_bytes()),
        grouped(m.work.backbone));
    break;
  }
  return table.text() + notes;
}

Json json_of(const MethodCost& m) {
  if (!m.error.empty()) return {{"method", m.method}, {"error", m.error}};
  const layers::TaskCost& c = m.cost;
  return {{"method", m.method},
          {"kernels", c.reprogramming},
          {"convolutions", c.convolutions},
          {"batch_norm_affine", c.batch_norm},
          {"batch_norm_statistics", c.statistics},
          {"head", c.head},
          {"number_bytes", c.number_bytes},
          {"bytes", c.bytes()},
          {"packed_bytes", m.packed},
          {"network_bytes", c.network_bytes()},
          {"without_head", c.without_head()},
          {"body_parameters", c.body_parameters},
          {"without_head_of_body", ratio(c.without_head(), c.body_parameters)},
          {"parameters", c.parameters()},
          {"network_parameters", c.network_parameters},
          {"multiply_adds", m.work.backbone},
          {"multiply_adds_added", m.work.added}};
}

}  // namespace

void print_costs(const Common& common, const std::string& arch, const std::string& method, int classes,
                 int size) {
  if (size == 0) size = layers::make_network(arch, 1)->default_size();
  std::vector<MethodCost> all;
  for (const layers::Method* m : layers::methods())
    if (method == "all" || method == m->name)
      all.push_back(cost_of_method(arch, std::string(m->name), classes, size, method != "all"));
  if (common.json) {
    Json costs = Json::array();
    for (const MethodCost& m : all) costs.push_back(json_of(m));
    return print_json({{"arch", arch}, {"classes", classes}, {"size", size}, {"methods", costs}});
  }
  print(fmt::format("{}, {} classes, images of {}x{}{}\n", arch, classes, size, size,
                    method == "all" ? "" : ", method " + all[0].method));
  print(method == "all" ? text_of(all) : text_of(all[0]));
}

}  // namespace reprise::clr
