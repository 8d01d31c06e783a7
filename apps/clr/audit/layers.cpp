// clr audit layers: compares activations and gradients of every module with those of ref in double.
#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/folder.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/statistics.h"
#include "apps/clr/learn/run_network.h"
#include "engine/ops/softmax.h"
#include "layers/file_layout.h"
#include "layers/observer.h"

namespace reprise::clr {
namespace {

struct LayersOptions {
  std::string backbone, arch = "auto", task, method, images, dump;
  int count = 4, size = 0;
  bool eval = false;
};

// One module in a pass: its tensors on the host, in the dtype of the pass.
struct Seen {
  std::string name, type;
  Tensor input, output, gradient;  // gradient: of the output; undefined if none reaches it
};

// A forward and a backward pass of a network on one device.
struct Pass {
  std::string name;  // "cpu f32"
  std::vector<Seen> layers;
  std::vector<data::NamedTensor> parameters;  // their gradients, in the file's layout
  double loss = 0;
};

struct ComparedLayer {
  std::string name, type;
  Shape shape;
  double own_error = std::nan("");  // the error when module and reference get the same input
  double error = 0, gradient_error = std::nan("");
  Statistics output, gradient;
  bool has_gradient = false;
};

class LayersAudit {
 public:
  LayersAudit(const LayersOptions& o, const Common& common) : o_(o), common_(common) {
    if (!o.task.empty()) task_ = read_task_file(o.task);
    if (task_) check_not_packed(*task_, "clr audit layers");
    method_ = task_ ? task_->method : o.method.empty() ? "" : checked_method(o.method);
  }

  std::unique_ptr<layers::Network> network(Device device, DType dtype) {
    const std::string arch = task_ && o_.arch == "auto" ? task_->arch : o_.arch;
    const Backbone backbone = backbone_for(
        method_, common_.weights(o_.backbone, task_ ? task_->backbone_identity : ""), arch, device, dtype);
    identity_ = backbone.identity;
    const bool has_head = task_ || backbone.classes > 0;
    REPRISE_CHECK(has_head || !method_.empty(),
                  "{} has no head of its own, so no loss; give --task or --method", o_.backbone);
    constexpr int drawn_classes = 10;
    auto made = task_      ? restore_network(backbone, *task_)
                : has_head ? backbone.pretrained(method_, common_.seed)
                           : backbone.instantiate(method_, drawn_classes, common_.seed, "audit");
    size_ = o_.size > 0 ? o_.size : task_ ? task_->size : backbone.size;
    // Without a method every parameter is trained, in memory of its own.
    if (method_.empty()) thaw(*made);
    made->train(!o_.eval && (method_.empty() || layers::find_method(method_).train_mode));
    return made;
  }

  Pass run(layers::Network& network, const Tensor& images) const {
    const Device device = network.head().weight.device();
    Pass pass;
    pass.name = fmt::format("{} {}", to_string(device), name_of(network.image_dtype()));
    std::vector<Tensor> outputs;
    {
      const layers::ForwardObserver observer([&](const layers::Module& m, const Tensor& x, const Tensor& y) {
        if (m.path().empty()) return;
        retain_grad(y);
        outputs.push_back(y);
        pass.layers.push_back({m.path(), std::string(m.type()), x.to(cpu_device), y.to(cpu_device), {}});
      });
      const Tensor logits = network(normalised(network, images));
      const Tensor labels = labels_in_turn(images.dim(0), network.classes());
      const Tensor loss = ops::cross_entropy(logits, labels.to(device));
      pass.loss = loss.item();
      backward(loss);
    }
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (const Tensor g = grad(outputs[i]); g.defined()) pass.layers[i].gradient = g.to(cpu_device);
    for (const layers::Entry& e : network.named_tensors())
      if (const Tensor g = grad(*e.tensor); !e.is_buffer && g.defined())
        pass.parameters.push_back({e.name, layers::to_file_layout(g.to(cpu_device), e.layout)});
    return pass;
  }

  int size() const { return size_; }
  const std::string& identity() const { return identity_; }
  const std::string& method() const { return method_; }

 private:
  static Tensor labels_in_turn(std::int64_t n, std::int64_t classes) {
    Tensor labels = empty({n}, DType::i64);
    for (std::int64_t i = 0; i < n; ++i) labels.mutable_data<std::int64_t>()[i] = i % classes;
    return labels;
  }

  const LayersOptions& o_;
  const Common& common_;
  std::optional<TaskFile> task_;
  std::string method_, identity_;
  int size_ = 0;
};

// Returns the error that arises in this module: compares its
// output with that of ref in double on the same input.
double own_error(layers::Network& reference, const Seen& seen) {
  if (!seen.input.defined()) return std::nan("");
  const NoGrad no_grad;
  try {
    const Tensor input = seen.input.to(DType::f64).to(ref_device);
    return relative_error(seen.output, reference.find(seen.name)->forward(input));
  } catch (const Error&) {
    return std::nan("");  // a module with two inputs: the observer saw only one
  }
}

std::vector<ComparedLayer> compare(const Pass& pass, const Pass& reference, layers::Network& network) {
  REPRISE_INVARIANT(pass.layers.size() == reference.layers.size(), "{} modules against {}",
                    pass.layers.size(), reference.layers.size());
  std::vector<ComparedLayer> rows;
  for (std::size_t i = 0; i < pass.layers.size(); ++i) {
    const Seen &a = pass.layers[i], &b = reference.layers[i];
    ComparedLayer row;
    row.name = a.name;
    row.type = a.type;
    row.shape = a.output.shape();
    row.own_error = own_error(network, a);
    row.error = relative_error(a.output, b.output);
    row.output = statistics_of(a.output);
    row.has_gradient = a.gradient.defined();
    if (row.has_gradient) {
      row.gradient_error = relative_error(a.gradient, b.gradient);
      row.gradient = statistics_of(a.gradient);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void dump(const std::string& path, const std::vector<const Pass*>& passes, const Tensor& images,
          const std::map<std::string, std::string>& metadata) {
  std::vector<data::NamedTensor> all{{"images", images}};
  const auto put = [&](const std::string& name, const Tensor& t) {
    all.push_back({name, layers::to_file_layout(t, t.rank() == 4 ? FileLayout::images : FileLayout::plain)});
  };
  for (const Pass* pass : passes) {
    std::string column = pass->name;
    std::replace(column.begin(), column.end(), ' ', '_');
    for (const Seen& s : pass->layers) {
      put(column + ".activation." + s.name, s.output);
      if (s.gradient.defined()) put(column + ".gradient." + s.name, s.gradient);
    }
    for (const auto& [name, tensor] : pass->parameters)
      all.push_back({column + ".parameter_gradient." + name, tensor});
  }
  data::write_safetensors(path, all, metadata);
}

std::string error_text(double error) {
  return std::isnan(error) ? "-" : error == 0 ? "0" : fmt::format("{:.1e}", error);
}
Json error_json(double error) {
  return std::isfinite(error) ? Json(error) : std::isnan(error) ? Json(nullptr) : Json("not finite");
}

void print_rows(const std::vector<ComparedLayer>& rows, const Pass& pass, const Pass& reference,
                const Common& common, const std::vector<std::string>& images) {
  if (common.json) {
    Json list = Json::array();
    for (const ComparedLayer& r : rows) {
      Json row = {{"layer", r.name},
                  {"type", r.type},
                  {"shape", std::vector<std::int64_t>(r.shape.dims().begin(), r.shape.dims().end())},
                  {"own_error", error_json(r.own_error)},
                  {"error", error_json(r.error)},
                  {"activation", to_json(r.output)}};
      if (r.has_gradient) {
        row["gradient_error"] = error_json(r.gradient_error);
        row["gradient"] = to_json(r.gradient);
      }
      list.push_back(row);
    }
    return print_json({{"computed", pass.name},
                       {"reference", reference.name},
                       {"images", images},
                       {"loss", pass.loss},
                       {"reference_loss", reference.loss},
                       {"layers", list}});
  }
  Table table({"layer", "type", "own error", "error", "grad error", "min", "max", "mean", "zeros",
               "not finite", "grad max"},
              {true, true, false, false, false, false, false, false, false, false, false});
  for (const ComparedLayer& r : rows)
    table.row({r.name, r.type, error_text(r.own_error), error_text(r.error), error_text(r.gradient_error),
               fmt::format("{:.3g}", r.output.min), fmt::format("{:.3g}", r.output.max),
               fmt::format("{:.2g}", r.output.mean), percent(r.output.zero_share),
               r.output.not_finite + r.gradient.not_finite == 0
                   ? "0"
                   : grouped(r.output.not_finite + r.gradient.not_finite),
               r.has_gradient ? fmt::format("{:.2g}", std::max(-r.gradient.min, r.gradient.max)) : "-"});
  print(table.text());
  print(
      fmt::format("{} against {}, loss {} against {}\nerrors are |a - b| / |b| over a tensor's elements "
                  "(root of the sum of "
                  "squares); own error: the module's, when it and the reference get the same input\n",
                  pass.name, reference.name, exact(pass.loss), exact(reference.loss)));
}

void run_layers(const LayersOptions& o, Common& common) {
  const Device device = common.resolved_device();
  const DType dtype = common.resolved_dtype();
  LayersAudit audit(o, common);
  common.begin();
  const auto network = audit.network(device, dtype);
  const auto reference = audit.network(ref_device, DType::f64);
  std::vector<std::string> paths;
  const Tensor images = read_folder(o.images, o.count, audit.size(), paths);
  const double flops = flops_of_image(*network, audit.size()) * static_cast<double>(images.dim(0));
  // ref: forward and backward, and each module's forward
  // again, up to three times in nested modules.
  tell_cost(common,
            fmt::format("{} images of {}x{} forward and backward, and at most 6 times that by ref in double: "
                        "about {}",
                        images.dim(0), audit.size(), audit.size(), duration_text(seconds_on_ref(6 * flops))));
  const Pass pass = audit.run(*network, images), truth = audit.run(*reference, images);
  const auto rows = compare(pass, truth, *reference);
  if (!o.dump.empty())
    dump(o.dump, {&pass, &truth}, images,
         {{"backbone_identity", audit.identity()}, {"method", audit.method()}, {"arch", network->arch()}});
  print_rows(rows, pass, truth, common, paths);
  for (const ComparedLayer& r : rows)
    if (r.output.not_finite + r.gradient.not_finite > 0) common.exit_status = 1;
}

}  // namespace

void add_audit_layers(Command audit, Common& common) {
  const Command c =
      add_command(audit, common, "layers",
                  "compare activations and gradients of every module with those of ref in double");
  const auto o = std::make_shared<LayersOptions>();
  c.add_option("--backbone", o->backbone,
               "the pretrained network's weight file; none for the method scratch");
  add_weight_options(c, common);
  c.add_option("--arch", o->arch, "its architecture").shows_default();
  const Option task =
      c.add_option("--task", o->task, "a learned task: its network instead of the backbone's own");
  c.add_option("--method", o->method, "the backbone in a method's form, as before the first step")
      .excludes(task);
  c.add_option("--images", o->images, "folder of images, with its subfolders").required();
  c.add_option("--count", o->count, "how many of them, evenly spread; their labels are 0, 1, 2, ... in order")
      .range(1, 1024)
      .shows_default();
  c.add_option("--size", o->size, "height and width (default: what the task or backbone records)")
      .range(1, 8192);
  c.add_flag("--eval", o->eval,
             "evaluation mode: batch norm uses its running statistics (default: the mode of training)");
  c.add_option("--dump", o->dump,
               "safetensors to write: all activations and gradients of both runs, [N, C, H, W]");
  c.callback([o, &common] { run_layers(*o, common); });
}

}  // namespace reprise::clr
