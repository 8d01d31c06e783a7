// clr predict: predicts the classes of images by one learned task.
#include "apps/clr/commands/predict.h"

#include <numeric>
#include <sstream>

#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "data/sets/walk.h"
#include "engine/base/utf8.h"
#include "engine/ops/softmax.h"

namespace reprise::clr {
namespace {

struct Prediction {
  std::string path;
  std::vector<double> probabilities;  // by label
  std::string certified = {};         // with --certify: ImageMargin::verdict()
};

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

// Predicts the images. With a network in `bounds` (on cpu, in f32), also says of every prediction
// whether rounding could change it.
std::vector<Prediction> predict(layers::Network& network, layers::Network* bounds,
                                const MarginOptions& options, const std::vector<std::string>& paths,
                                int size) {
  std::vector<Prediction> all;
  for_images(paths, size, [&](const data::ImageStore& images) {
    for (std::int64_t at = 0; at < images.count(); at += eval_batch) {
      std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min(eval_batch, images.count() - at)));
      std::iota(indices.begin(), indices.end(), at);
      const auto path = [&](std::int64_t row) {
        return images.samples()[static_cast<std::size_t>(at + row)].path;
      };
      const Tensor batch = images.batch(indices), logits = outputs_of(network, batch).logits;
      check_logits(logits, path);
      const Tensor p = ops::softmax(logits).to(cpu_device).to(DType::f64);
      const auto classes = static_cast<std::size_t>(p.dim(1));
      std::map<std::string, double> layers;
      std::vector<ImageMargin> margins;
      if (bounds != nullptr) margins = bound_margins(*bounds, batch, options, layers);
      for (std::int64_t i = 0; i < p.dim(0); ++i) {
        const auto row = p.values<double>().subspan(static_cast<std::size_t>(i) * classes, classes);
        all.push_back({path(i), {row.begin(), row.end()}});
        if (bounds == nullptr) continue;
        const auto label = top_labels(all.back().probabilities, 1)[0];
        const ImageMargin& margin = margins[static_cast<std::size_t>(i)];
        all.back().certified = static_cast<std::int64_t>(label) == margin.label ? margin.verdict() : "no";
      }
    }
  });
  return all;
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
  if (o.csv) {
    std::string text =
        o.certify ? "image,rank,class,probability,certified\n" : "image,rank,class,probability\n";
    for (const Prediction& p : predictions) {
      int rank = 0;
      for (const std::size_t label : top_labels(p.probabilities, o.top))
        text += fmt::format("{},{},{},{}{}\n", csv_field(p.path), ++rank, csv_field(task.classes[label]),
                            exact(p.probabilities[label]), o.certify ? "," + p.certified : "");
    }
    return print(text);
  }
  std::vector<std::string> titles{"image", "class", "probability"};
  if (o.certify) titles.emplace_back("certified");
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

void predict_by_task(Common& common, const PredictOptions& o, const std::vector<std::string>& paths) {
  const TaskFile task = read_task_file(o.task);
  const Backbone backbone =
      backbone_of(task, common.weights(o.backbone), common.resolved_device(), common.resolved_dtype());
  if (!common.quiet) log_line(backbone.describe());
  const auto network = restore_network(backbone, task);
  std::unique_ptr<layers::Network> bounds;
  if (o.certify)
    bounds = restore_network(backbone_of(task, common.weights(o.backbone), cpu_device, DType::f32), task);
  const std::vector<Prediction> predictions = predict(
      *network, bounds.get(), {.bf16 = backbone.dtype == DType::bf16, .exact = false}, paths, task.size);
  print_predictions(common, o, task, predictions);
  if (predictions.size() < paths.size()) common.exit_status = 1;
}

// Returns the paths of all images: those given, those in given folders and those on the list.
std::vector<std::string> image_paths(const PredictOptions& o) {
  std::vector<std::string> paths;
  for (const std::string& path : o.images) {
    const auto images = std::filesystem::is_directory(path) ? images_in(path) : std::vector{path};
    paths.insert(paths.end(), images.begin(), images.end());
  }
  if (o.list.empty()) return paths;
  const auto bytes = data::read_file(o.list);
  std::istringstream lines(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // the byte order mark of a first line
    if (!line.empty() && line[0] != '#')
      paths.push_back((std::filesystem::path(o.list).parent_path() / line).string());
  }
  REPRISE_CHECK(!paths.empty(), "{}: no image on this list", o.list);
  return paths;
}

void run_predict(Common& common, const PredictOptions& o) {
  if (o.task.empty() == o.run.empty())
    throw UsageError("either --task (one task predicts) or --run (the task is inferred) is required");
  if (o.images.empty() && o.list.empty()) throw UsageError("IMAGE or --list is required");
  if (common.json && o.csv) throw UsageError("--csv and --json exclude each other");
  common.begin();
  const auto paths = image_paths(o);
  if (o.run.empty())
    predict_by_task(common, o, paths);
  else
    predict_by_map(common, o, paths);
}

}  // namespace

std::vector<std::string> images_in(const std::string& folder) {
  std::vector<std::string> paths;
  const data::ClassFiles files = data::Walker(data::limits::task_files).walk(folder);
  for (const std::string& name : files.images)
    paths.push_back((std::filesystem::path(folder) / name).string());
  for (const data::Unreadable& file : files.unreadable)
    paths.push_back(file.path);  // to be named with the reason
  REPRISE_CHECK(!paths.empty(), "{}: no image in this folder", folder);
  return paths;
}

void for_images(const std::vector<std::string>& paths, int size,
                const std::function<void(const data::ImageStore&)>& use) {
  constexpr std::size_t at_once = 2048;
  for (std::size_t at = 0; at < paths.size(); at += at_once) {
    std::vector<data::Sample> samples;
    for (std::size_t i = at; i < std::min(at + at_once, paths.size()); ++i)
      samples.push_back({paths[i], paths[i], 0});
    data::ImageStore all(samples, size, "");
    const auto unreadable = all.load();
    for (const data::Unreadable& file : unreadable) {
      log_line(fmt::format("clr: image {}: {}", escaped(file.path), file.reason));
      std::erase_if(samples, [&](const data::Sample& s) { return s.path == file.path; });
    }
    if (samples.empty()) continue;
    data::ImageStore readable(std::move(samples), size, "");
    readable.adopt(all);
    use(readable);
  }
}

void add_predict(Command app, Common& common) {
  const auto o = std::make_shared<PredictOptions>();
  const Command c = add_command(app, common, "predict", "predict the classes of images");
  c.add_option("--task", o->task, "the task's file, such as RUN/tasks/NAME.safetensors");
  const Option run =
      c.add_option("--run", o->run, "a run folder instead of a task: its map (clr map) infers the task");
  c.add_option(
      "--backbone", o->backbone,
      "the task's backbone (default: the one that the task's run names, else a file beside the task)");
  add_weight_options(c, common);
  c.add_option("--list", o->list,
               "a file with the path of an image on each line, relative to the file's folder");
  c.add_option("--top", o->top, "how many classes to print for each image (default: 5)")
      .range(1, 1'000'000)
      .excludes(run);
  add_inference_options(c, o->shortlist, o->refuse, run);
  c.add_flag("--certify", o->certify,
             "say of each image whether rounding could change its class: see `clr audit margin`")
      .excludes(run);
  c.add_flag("--csv", o->csv, "comma-separated values instead of a table");
  c.add_option("IMAGE", o->images, "image files, or folders of them");
  c.callback([o, &common] { run_predict(common, *o); });
}

}  // namespace reprise::clr
