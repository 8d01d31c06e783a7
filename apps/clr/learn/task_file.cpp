#include "apps/clr/learn/task_file.h"

#include <algorithm>
#include <charconv>

#include "apps/clr/learn/json_fields.h"
#include "apps/clr/learn/pack.h"
#include "data/io/file.h"
#include "data/sets/names.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
#include "layers/state_dict.h"

namespace reprise::clr {
namespace {

using Metadata = std::map<std::string, std::string>;

const std::string task_format_key = "reprise.format", task_format = "task ";  // and the version

// Returns a value of the recipe as text.
std::string text_of(const Json& recipe, const std::string& key) {
  return recipe[key].is_string() ? recipe[key].get<std::string>() : recipe[key].dump();
}

Json accuracies(const TaskFile& t) {
  Json json = Json::object();
  if (t.test_accuracy) json["test"] = *t.test_accuracy;
  if (t.train_accuracy) json["train"] = *t.train_accuracy;
  if (t.val_accuracy) json["val"] = *t.val_accuracy;
  return json;
}

// Reads the file's metadata, and what the recipe in it says already. Its errors name the file and
// the key.
class Reader {
 public:
  Reader(const Metadata& metadata, const std::string& path) : metadata_(metadata), path_(path) {
    recipe_ = json<Json>("recipe");
    REPRISE_CHECK(recipe_.is_object(), "{}: 'recipe' in the task file's metadata is damaged", path);
  }

  bool has(const std::string& key) const { return metadata_.contains(key); }
  std::string text(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found != metadata_.end()) return found->second;
    REPRISE_CHECK(recipe_.contains(key), "{}: the task file has no '{}' in its metadata", path_, key);
    return text_of(recipe_, key);
  }
  const Json& recipe() const { return recipe_; }
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
    const std::string t = text(key);
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
  Json recipe_ = Json::object();
};

}  // namespace

bool is_task_file(const data::WeightFile& file) {
  const auto found = file.metadata.find(task_format_key);
  return found != file.metadata.end() && found->second.starts_with(task_format);
}

std::vector<std::byte> bytes_of(const TaskFile& t) {
  const Json recipe = t.recipe.empty() ? Json::object() : Json::parse(t.recipe);
  Metadata metadata{
      {task_format_key, task_format + std::to_string(task_version)},
      {"accuracy", canonical(accuracies(t))},
      {"arch", t.arch},
      {"backbone_identity", t.backbone_identity},
      {"best_epoch", std::to_string(t.best_epoch)},
      {"classes", canonical(Json(t.classes))},
      {"data_digests", canonical(Json(t.data_digests))},
      {"recipe", canonical(recipe)},
      {"task", t.task},
  };
  for (const auto& [key, value] : {std::pair<std::string, std::string>("device", t.device),
                                   {"dtype", t.dtype},
                                   {"method", t.method},
                                   {"seed", std::to_string(t.seed)},
                                   {"size", std::to_string(t.size)}})
    if (!recipe.contains(key) || text_of(recipe, key) != value) metadata[key] = value;
  if (!t.images.empty()) metadata["images"] = canonical(Json(t.images));
  if (!t.files_digest.empty()) metadata["files_digest"] = t.files_digest;
  if (!t.instruction_set.empty()) metadata["instruction_set"] = t.instruction_set;
  if (t.packed.empty()) return data::to_safetensors(t.tensors, metadata);
  metadata["original"] = t.original_sha256;
  metadata["packed"] = t.packed;
  return data::to_safetensors(pack_tensors(t, t.packed), metadata, /*halves=*/t.packed != "fold");
}

void write_task_file(const std::string& path, const TaskFile& task) {
  data::write_file_atomically(path, bytes_of(task));
}

TaskFile read_task_file(const std::string& path) {
  data::WeightFile file = data::read_weights(path);
  REPRISE_CHECK(is_task_file(file),
                "{}: not a task file, but {} tensors in the form {}; `clr info` lists them", path,
                file.tensors.size(), file.format);
  TaskFile t;
  const std::string& format = file.metadata[task_format_key];
  t.version = format == task_format + "1" ? 1 : task_version;
  REPRISE_CHECK(format == task_format + std::to_string(t.version),
                "{}: a task file of the form '{}'; this clr reads '{}1' to '{}{}'", path, format, task_format,
                task_format, task_version);
  const Reader in(file.metadata, path);
  t.path = path;
  t.file_sha256 = file.file_sha256;
  t.task = in.text("task");
  t.method = in.text("method");
  t.arch = in.text("arch");
  t.backbone_identity = in.text("backbone_identity");
  t.device = in.text("device");
  t.dtype = in.text("dtype");
  t.classes = in.json<std::vector<std::string>>("classes");
  REPRISE_CHECK(!t.classes.empty(), "{}: the task file names no classes", path);
  t.size = t.version == 1 ? preprocessed_size(in.text("preprocessing")) : in.number<int>("size", 1, 8192);
  REPRISE_CHECK(t.size > 0, "{}: 'preprocessing' in the task file's metadata is damaged", path);
  t.recipe = canonical(in.recipe());
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
  if (in.has("packed")) {
    t.packed = in.text("packed"), t.original_sha256 = in.text("original");
    REPRISE_CHECK(std::ranges::find(pack_forms, t.packed) != pack_forms.end(),
                  "{}: a task packed as '{}'; this clr reads {}", path, t.packed,
                  fmt::join(pack_forms, ", "));
    file.tensors = unpack_tensors(t, file.tensors);
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

void check_not_packed(const TaskFile& task, const std::string& what) {
  REPRISE_CHECK(task.packed.empty(),
                "{}: a task packed as {} is for prediction only; {} needs the original file, SHA-256 {}",
                task.path, task.packed, what, task.original_sha256);
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

std::vector<std::int64_t> learned_labels(const TaskFile& task, const std::vector<std::string>& classes) {
  std::vector<std::int64_t> labels;
  for (const std::string& name : classes) {
    const auto at = std::ranges::find(task.classes, name);
    REPRISE_CHECK(at != task.classes.end(),
                  "task {}: the data have a class '{}' that was never learned\n  file    {}{}", task.task,
                  name, task.path, data::other_form(name, task.classes, "data", "learned"));
    labels.push_back(at - task.classes.begin());
  }
  return labels;
}

layers::TaskCost cost_of(const TaskFile& task) {
  auto network = layers::make_network(task.arch, static_cast<int>(task.classes.size()));
  if (task.dtype == name_of(DType::f64)) network->to(DType::f64);
  layers::apply_method(*network, task.method);
  layers::TaskCost cost = layers::cost_of(*network);
  if (!task.packed.empty())
    cost.packed_bytes =
        packed_bytes(task.arch, task.method, static_cast<int>(task.classes.size())).at(task.packed);
  return cost;
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
