// clr predict: predicts the classes of images by one learned task.
#include <cstring>
#include <numeric>

#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/step.h"
#include "data/image/image.h"
#include "data/image/resize.h"
#include "data/io/file.h"
#include "engine/ops/softmax.h"

namespace reprise::clr {
namespace {

struct PredictOptions {
  std::string task, backbone;
  std::vector<std::string> images;
  int top = 5;
  bool certify = false;
};

struct Prediction {
  std::string path;
  std::vector<double> probabilities;  // by label
  std::string certified = {};         // with --certify: ImageMargin::verdict()
};

// Reads the images paths[begin, end) as u8 (N,size,size,3). Adds the path of each readable one to
// `read`, and prints why the others cannot be read.
Tensor read_images(const std::vector<std::string>& paths, std::size_t begin, std::size_t end, int size,
                   std::vector<std::string>& read) {
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = begin; i < end; ++i) {
    try {
      const ErrorScope scope("image", paths[i]);
      const data::Image image =
          data::resize_bilinear(data::decode_image(data::read_file(paths[i])), size, size);
      pixels.insert(pixels.end(), image.rgb.begin(), image.rgb.end());
      read.push_back(paths[i]);
    } catch (const Error& e) {
      log_line(std::string("clr: ") + e.what());
    }
  }
  return tensor({static_cast<std::int64_t>(read.size()), size, size, 3},
                std::span<const std::uint8_t>(pixels));
}

std::vector<Prediction> predict(layers::Network& network, const PredictOptions& o, int size) {
  const NoGrad no_grad;
  std::vector<Prediction> all;
  for (std::size_t at = 0; at < o.images.size(); at += eval_batch) {
    std::vector<std::string> read;
    const Tensor images = read_images(o.images, at, std::min(at + eval_batch, o.images.size()), size, read);
    if (read.empty()) continue;
    const Tensor logits = outputs_of(network, images).logits;
    check_logits(logits, [&](std::int64_t row) { return read[static_cast<std::size_t>(row)]; });
    const Tensor p = ops::softmax(logits).to(cpu_device).to(DType::f64);
    const auto classes = static_cast<std::size_t>(p.dim(1));
    const auto values = p.values<double>();
    for (std::size_t i = 0; i < read.size(); ++i) {
      const auto row = values.subspan(i * classes, classes);
      all.push_back({read[i], {row.begin(), row.end()}});
    }
  }
  return all;
}

// Returns the labels of the `top` largest probabilities,
// largest first; of equal ones the smaller label first.
std::vector<std::size_t> top_labels(const std::vector<double>& probabilities, int top) {
  std::vector<std::size_t> labels(probabilities.size());
  std::iota(labels.begin(), labels.end(), std::size_t{0});
  std::stable_sort(labels.begin(), labels.end(),
                   [&](std::size_t a, std::size_t b) { return probabilities[a] > probabilities[b]; });
  labels.resize(std::min(labels.size(), static_cast<std::size_t>(top)));
  return labels;
}

// Says of every prediction whether rounding could change it, by bounds that are computed on cpu in f32.
void certify(std::vector<Prediction>& predictions, layers::Network& network, int size, bool bf16) {
  std::vector<std::string> paths, read;
  for (const Prediction& p : predictions) paths.push_back(p.path);
  if (paths.empty()) return;
  std::map<std::string, double> layers;
  const auto margins = bound_margins(network, read_images(paths, 0, paths.size(), size, read),
                                     {.bf16 = bf16, .exact = false}, layers);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto label = top_labels(predictions[i].probabilities, 1)[0];
    predictions[i].certified =
        static_cast<std::int64_t>(label) == margins[i].label ? margins[i].verdict() : "no";
  }
}

void print_predictions(const Common& common, const PredictOptions& o, const TaskFile& task,
                       const std::vector<Prediction>& predictions) {
  if (common.json) {
    Json images = Json::array();
    for (const Prediction& p : predictions) {
      Json classes = Json::array();
      for (const std::size_t label : top_labels(p.probabilities, o.top))
        classes.push_back(
            {{"class", task.classes[label]}, {"label", label}, {"probability", p.probabilities[label]}});
      images.push_back({{"path", p.path}, {"predictions", classes}});
      if (o.certify) images.back()["certified"] = p.certified;
    }
    print_json({{"task", task.task}, {"method", task.method}, {"images", images}});
    return;
  }
  std::vector<std::string> titles{"image", "class", "probability"};
  if (o.certify) titles.push_back("certified");
  Table table(titles, std::vector<bool>{true, true, false, true});
  for (const Prediction& p : predictions) {
    bool first = true;
    for (const std::size_t label : top_labels(p.probabilities, o.top)) {
      std::vector<std::string> cells{first ? p.path : "", task.classes[label],
                                     percent(p.probabilities[label], 2)};
      if (o.certify) cells.push_back(first ? p.certified : "");
      table.row(cells);
      first = false;
    }
  }
  print(table.text());
}

void run_predict(Common& common, const PredictOptions& o) {
  common.begin();
  const TaskFile task = read_task_file(o.task);
  const Backbone backbone =
      backbone_of(task, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype());
  if (!common.quiet) log_line(backbone.describe());
  const auto network = restore_network(backbone, task);
  std::vector<Prediction> predictions = predict(*network, o, task.size);
  if (o.certify) {
    const Backbone on_cpu = backbone_of(task, common.weights(o.backbone), cpu_device, DType::f32);
    certify(predictions, *restore_network(on_cpu, task), task.size, common.resolved_dtype() == DType::bf16);
  }
  print_predictions(common, o, task, predictions);
  if (predictions.size() < o.images.size()) common.exit_status = 1;
}

}  // namespace

void add_predict(Command app, Common& common) {
  const auto o = std::make_shared<PredictOptions>();
  const Command c = add_command(app, common, "predict", "predict the classes of images by one learned task");
  c.add_option("--task", o->task, "the task's file, such as RUN/tasks/NAME.safetensors").required();
  c.add_option(
      "--backbone", o->backbone,
      "the task's backbone (default: the one that the task's run names, else a file beside the task)");
  add_weight_options(c, common);
  c.add_option("--top", o->top, "how many classes to print for each image (default: 5)").range(1, 1'000'000);
  c.add_flag("--certify", o->certify,
             "say of each image whether rounding could change its class: see `clr audit margin`");
  c.add_option("IMAGE", o->images, "image files").required();
  c.callback([o, &common] { run_predict(common, *o); });
}

}  // namespace reprise::clr
