// clr forward: runs a network on given images and writes
// tensors, to compare them with other programs'.
#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/run_network.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/pool.h"
#include "engine/ops/softmax.h"
#include "layers/batch_norm.h"
#include "layers/file_layout.h"
#include "layers/observer.h"

namespace reprise::clr {
namespace {

struct ForwardOptions {
  std::string backbone, arch = "auto", task, method, input, output, until;
  bool layers = false, train_step = false;
  int classes = 0;
};

using Written = std::vector<data::NamedTensor>;

Tensor in_file_layout(const Tensor& t) {
  const Tensor on_host = t.to(cpu_device);
  return layers::to_file_layout(on_host, t.rank() == 4 ? FileLayout::images : FileLayout::plain);
}

const Tensor& wanted(const data::WeightFile& file, const std::string& name, const std::string& what) {
  const Tensor* t = file.find(name);
  REPRISE_CHECK(t != nullptr, "{}: no tensor '{}'; expected {}", file.path, name, what);
  return *t;
}

// Computes features and logits of all images in evaluation mode,
// with --layers also every module's output.
Written run_eval(layers::Network& network, const Tensor& images, const ForwardOptions& o, bool has_head) {
  const EvaluationMode mode(network);
  const NoGrad no_grad;
  std::map<std::string, Gathered> outputs;
  std::vector<std::string> order;
  const auto keep = [&](const std::string& name, const Tensor& y) {
    if (!outputs.contains(name)) order.push_back(name);
    outputs[name].add(y);
  };
  std::optional<layers::ForwardObserver> observer;
  if (o.layers)
    observer.emplace([&](const layers::Module& m, const Tensor&, const Tensor& y) {
      if (!m.path().empty()) keep(m.path(), y);
    });
  for (std::int64_t at = 0; at < images.dim(0); at += eval_batch) {
    const Tensor x = normalised(network, images.rows(at, std::min(at + eval_batch, images.dim(0))));
    if (!o.until.empty()) {
      const Tensor y = layers::run_until(network, x, o.until);
      keep("features", y.rank() == 4 ? ops::global_avg_pool(y) : y);
      continue;
    }
    const Tensor features = network.features(x);
    keep("features", features);
    if (has_head) keep("logits", network.head()(features));
  }
  Written written;
  for (const std::string& name : order) written.push_back({name, in_file_layout(outputs[name].joined())});
  return written;
}

// Adds cross-entropy, gradients and batch statistics of one training step to `written`.
// Changes the network's running statistics.
void run_train_step(layers::Network& network, const Tensor& images, const Tensor& labels, Written& written) {
  REPRISE_CHECK(labels.dtype() == DType::i64 && labels.shape() == Shape{images.dim(0)},
                "labels: expected i64 {}, got {} {}", to_string(Shape{images.dim(0)}),
                name_of(labels.dtype()), to_string(labels.shape()));
  std::vector<data::NamedTensor> statistics;
  const layers::ForwardObserver observer([&](const layers::Module& m, const Tensor& x, const Tensor&) {
    const auto* bn = dynamic_cast<const layers::BatchNorm2d*>(&m);
    if (bn == nullptr || !bn->is_training()) return;
    const NoGrad no_grad;
    const auto batch = ops::batch_norm(x.detach(), bn->weight.detach(), bn->bias.detach(), bn->args);
    statistics.push_back({"batch_mean." + m.path(), in_file_layout(batch.mean)});
    statistics.push_back({"batch_var." + m.path(), in_file_layout(batch.var)});
  });
  const Tensor loss =
      ops::cross_entropy(network(normalised(network, images)), labels.to(network.head().weight.device()));
  backward(loss);
  written.push_back({"loss", in_file_layout(loss)});
  for (const layers::Entry& e : network.named_tensors())
    if (!e.is_buffer && requires_grad(*e.tensor)) {
      const Tensor gradient = grad(*e.tensor);
      REPRISE_INVARIANT(gradient.defined(), "{} has no gradient", e.name);
      written.push_back({"grad." + e.name, layers::to_file_layout(gradient.to(cpu_device), e.layout)});
    }
  written.insert(written.end(), statistics.begin(), statistics.end());
}

void print_outputs(const Common& common, const ForwardOptions& o, const Backbone& backbone,
                   const Tensor& images, const Written& written) {
  if (common.json) {
    Json outputs = Json::object();
    for (const auto& [name, tensor] : written)
      outputs[name] = Json{
          {"shape", std::vector<std::int64_t>(tensor.shape().dims().begin(), tensor.shape().dims().end())},
          {"dtype", std::string(name_of(tensor.dtype()))}};
    print_json({{"backbone", backbone.path},
                {"arch", backbone.arch},
                {"identity", backbone.identity},
                {"images", images.dim(0)},
                {"output", o.output},
                {"tensors", outputs}});
    return;
  }
  Table table({"written", "shape", "dtype"}, {true, true, true});
  for (const auto& [name, tensor] : written)
    table.row({name, to_string(tensor.shape()), std::string(name_of(tensor.dtype()))});
  print(table.text());
}

void run_forward(const Common& common, const ForwardOptions& o) {
  std::string method = o.method.empty() ? "" : checked_method(o.method);
  if (!o.until.empty() && o.train_step) throw UsageError("--until and --train-step exclude each other");
  common.begin();
  const data::WeightFile input = data::read_weights(o.input);
  const Tensor& images = wanted(input, "images", "u8 [N, H, W, 3]");
  check_images(images);
  std::optional<TaskFile> task;
  if (!o.task.empty()) task = read_task_file(o.task);
  if (task) method = task->method;
  if (task && o.train_step) check_not_packed(*task, "--train-step");
  const std::string arch = task && o.arch == "auto" ? task->arch : o.arch;
  const Backbone backbone =
      backbone_for(method, common.weights(o.backbone, task ? task->backbone_identity : ""), arch,
                   common.resolved_device(), common.resolved_dtype(), o.until);
  if (!common.quiet) log_line(backbone.describe());

  const auto network = task            ? restore_network(backbone, *task)
                       : o.classes > 0 ? backbone.instantiate(method, o.classes, common.seed, "forward")
                                       : backbone.pretrained(method, common.seed);
  const bool has_head = task || o.classes > 0 || backbone.classes > 0;
  if (!has_head && !common.quiet) log_line("the backbone has no head of its own: no logits are written");
  REPRISE_CHECK(has_head || !o.train_step,
                "--train-step: {} has no head; give --task, or --method and --classes",
                backbone.is_none() ? backbone.arch : backbone.path);

  Written written = run_eval(*network, images, o, has_head);
  if (o.train_step) {
    if (method.empty()) thaw(*network);
    network->train(method.empty() || layers::find_method(method).train_mode);
    run_train_step(*network, images, wanted(input, "labels", "i64 [N]"), written);
  }
  data::write_safetensors(o.output, written,
                          {{"arch", backbone.arch},
                           {"backbone_identity", backbone.identity},
                           {"device", std::string(name_of(backbone.device.kind))},
                           {"dtype", std::string(name_of(backbone.dtype))},
                           {"method", method}});
  print_outputs(common, o, backbone, images, written);
}

}  // namespace

void add_forward(Command app, Common& common) {
  const auto o = std::make_shared<ForwardOptions>();
  const Command c =
      add_command(app, common, "forward", "run a network on given images and write its tensors");
  c.add_option("--backbone", o->backbone,
               "the pretrained network's weight file; none for the method scratch");
  add_weight_options(c, common);
  c.add_option("--arch", o->arch, "its architecture (default: auto)");
  const Option task =
      c.add_option("--task", o->task, "a learned task: its network instead of the backbone's own");
  const Option method =
      c.add_option("--method", o->method, "the backbone in a method's form, as before the first step")
          .excludes(task);
  c.add_option("--classes", o->classes, "with --method: a new head for so many classes, sampled from --seed")
      .needs(method)
      .range(1, 1'000'000);
  c.add_option("--input", o->input,
               "safetensors with `images` u8 [N, H, W, 3]; `labels` i64 [N] for --train-step")
      .required();
  c.add_option("--output", o->output, "safetensors to write: `features`, `logits`").required();
  c.add_flag("--layers", o->layers, "also every module's output, [N, C, H, W]");
  c.add_option("--until", o->until, "stop after this module; `features` is then its output's spatial mean");
  c.add_flag(
      "--train-step", o->train_step,
      "also `loss`, `grad.<parameter>`, `batch_mean.<layer>`, `batch_var.<layer>` of one step; nothing is "
      "updated (without --task and --method, every parameter is trained)");
  c.callback([o, &common] { run_forward(common, *o); });
}

}  // namespace reprise::clr
