#include "apps/clr/learn/task_file.h"

#include <algorithm>
#include <charconv>

#include "apps/clr/learn/json_fields.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "layers/state_dict.h"

namespace reprise::clr {
namespace {

using Metadata = std::map<std::string, std::string>;

const std::string task_format_key = "reprise.format", task_format = "task 1";

Json accuracies(const TaskFile& t) {
  Json json = Json::object();
  if (t.test_accuracy) json["test"] = *t.test_accuracy;
  if (t.train_accuracy) json["train"] = *t.train_accuracy;
  if (t.val_accuracy) json["val"] = *t.val_accuracy;
  return json;
}

// Reads the file's metadata. Its errors name the file and the key.
class Reader {
 public:
  Reader(const Metadata& metadata, const std::string& path) : metadata_(metadata), path_(path) {}

  const std::string& text(const std::string& key) const {
    const auto found = metadata_.find(key);
    REPRISE_CHECK(found != metadata_.end(), "{}: the task file has no '{}' in its metadata", path_, key);
    return found->second;
  }
  template <class T>
  T json(const std::string& key) const {
    try {
      return Json::parse(text(key)).get<T>();
    } catch (const Json::exception&) {
      throw_error("{}: '{}' in the task file's metadata is damaged", path_, key);
    }
  }
  template <class T>
  T number(const std::string& key, T low, T high) const {
    const std::string& t = text(key);
    T value{};
    const auto [end, ec] = std::from_chars(t.data(), t.data() + t.size(), value);
    REPRISE_CHECK(ec == std::errc{} && end == t.data() + t.size() && value >= low && value <= high,
                  "{}: '{}' in the task file's metadata: expected a number from {} to {}, got '{}'", path_,
                  key, low, high, t);
    return value;
  }

 private:
  const Metadata& metadata_;
  const std::string& path_;
};

}  // namespace

bool is_task_file(const data::WeightFile& file) {
  const auto found = file.metadata.find(task_format_key);
  return found != file.metadata.end() && found->second.starts_with("task ");
}

void write_task_file(const std::string& path, const TaskFile& t) {
  Metadata metadata{
      {task_format_key, task_format},
      {"accuracy", canonical(accuracies(t))},
      {"arch", t.arch},
      {"backbone_identity", t.backbone_identity},
      {"backbone_sha256", t.backbone_file_sha256},
      {"best_epoch", std::to_string(t.best_epoch)},
      {"classes", canonical(Json(t.classes))},
      {"data_digests", canonical(Json(t.data_digests))},
      {"device", t.device},
      {"dtype", t.dtype},
      {"method", t.method},
      {"preprocessing", preprocessing_text(t.size)},
      {"recipe", t.recipe.empty() ? "{}" : canonical(Json::parse(t.recipe))},
      {"seed", std::to_string(t.seed)},
      {"task", t.task},
  };
  if (!t.images.empty()) metadata["images"] = canonical(Json(t.images));
  if (!t.files_digest.empty()) metadata["files_digest"] = t.files_digest;
  if (!t.instruction_set.empty()) metadata["instruction_set"] = t.instruction_set;
  data::write_safetensors(path, t.tensors, metadata);
}

TaskFile read_task_file(const std::string& path) {
  data::WeightFile file = data::read_weights(path);
  REPRISE_CHECK(is_task_file(file),
                "{}: not a task file, but {} tensors in the form {}; `clr info` lists them", path,
                file.tensors.size(), file.format);
  const Reader in(file.metadata, path);
  REPRISE_CHECK(in.text(task_format_key) == task_format,
                "{}: a task file of the form '{}'; this clr reads '{}'", path, in.text(task_format_key),
                task_format);
  TaskFile t;
  t.path = path;
  t.file_sha256 = file.file_sha256;
  t.task = in.text("task");
  t.method = in.text("method");
  t.arch = in.text("arch");
  t.backbone_identity = in.text("backbone_identity");
  t.backbone_file_sha256 = in.text("backbone_sha256");
  t.device = in.text("device");
  t.dtype = in.text("dtype");
  t.classes = in.json<std::vector<std::string>>("classes");
  REPRISE_CHECK(!t.classes.empty(), "{}: the task file names no classes", path);
  t.size = preprocessed_size(in.text("preprocessing"));
  REPRISE_CHECK(t.size > 0, "{}: 'preprocessing' in the task file's metadata is damaged", path);
  t.recipe = canonical(in.json<Json>("recipe"));
  t.seed = in.number<std::uint64_t>("seed", 0, UINT64_MAX);
  t.best_epoch = in.number<int>("best_epoch", 0, 1'000'000'000);
  t.data_digests = in.json<std::map<std::string, std::string>>("data_digests");
  if (file.metadata.contains("images")) t.images = in.json<std::map<std::string, std::int64_t>>("images");
  if (file.metadata.contains("files_digest")) t.files_digest = in.text("files_digest");
  if (file.metadata.contains("instruction_set")) t.instruction_set = in.text("instruction_set");
  for (const auto& [split, value] : in.json<std::map<std::string, double>>("accuracy")) {
    if (split == "train") t.train_accuracy = value;
    if (split == "val") t.val_accuracy = value;
    if (split == "test") t.test_accuracy = value;
  }
  t.tensors = std::move(file.tensors);
  return t;
}

std::vector<data::NamedTensor> task_tensors_of(const layers::Network& network) {
  auto tensors = layers::state_dict(layers::task_tensors(network));
  std::ranges::sort(tensors, {}, &data::NamedTensor::name);
  return tensors;
}

void apply_task(layers::Network& network, const std::vector<data::NamedTensor>& tensors) {
  const layers::LoadReport report =
      layers::compare_state_dict(layers::task_tensors(std::as_const(network)), tensors);
  REPRISE_CHECK(report.missing.size() + report.extra.size() + report.shape_differs.size() == 0,
                "task: its tensors do not fit the network\n  {}", report.text());
  for (const auto& [name, tensor] : tensors) check_numbers("task", name, tensor);
  layers::load_state_dict(layers::task_tensors(network), tensors);
}

std::unique_ptr<layers::Network> restore_network(const Backbone& backbone, const TaskFile& task) {
  REPRISE_CHECK(task.backbone_identity == backbone.identity,
                "{}: task '{}' was learned on another backbone\n  wanted   {}  ({})\n  given    {}  ({}, {})",
                task.path, task.task, task.backbone_identity, task.arch, backbone.identity, backbone.arch,
                backbone.path);
  const ErrorScope scope("file", task.path);
  auto network =
      backbone.instantiate(task.method, static_cast<int>(task.classes.size()), task.seed, task.task);
  apply_task(*network, task);
  network->train(false);
  return network;
}

layers::TaskCost cost_of(const TaskFile& task) {
  auto network = layers::make_network(task.arch, static_cast<int>(task.classes.size()));
  if (task.dtype == name_of(DType::f64)) network->to(DType::f64);
  layers::apply_method(*network, task.method);
  return layers::cost_of(*network);
}

std::string preprocessing_text(int size) {
  return canonical({{"mean", {0.485, 0.456, 0.406}},
                    {"resize", "bilinear"},
                    {"size", size},
                    {"std", {0.229, 0.224, 0.225}}});
}

int preprocessed_size(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  std::int64_t size = 0;
  const bool read = json.is_object() && read_field(json, "size", size);
  return read && size >= 1 && size <= 8192 ? static_cast<int>(size) : 0;
}

std::map<std::string, std::string> backbone_metadata(const std::string& arch, int size,
                                                     const std::vector<std::string>& class_names) {
  return {{"reprise.format", "backbone 1"},
          {"arch", arch},
          {"classes", canonical(Json(class_names))},
          {"preprocessing", preprocessing_text(size)}};
}

}  // namespace reprise::clr
