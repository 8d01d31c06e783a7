// clr predict --run: infers the task of each image, then its class.
#include "apps/clr/commands/predict.h"
#include "apps/clr/learn/task_log.h"
#include "apps/clr/learn/task_map.h"

namespace reprise::clr {
namespace {

constexpr const char* none = "none of the learned tasks";

Json json_of(const std::string& path, const InferredImage& image, const std::vector<TaskFile>& files) {
  Json shortlist = Json::array();
  for (const auto& a : image.answers) {
    const TaskFile& file = files[a.task.task];
    shortlist.push_back({{"task", file.task},
                         {"task_probability", a.task.probability},
                         {"distance", std::sqrt(a.task.distance)},
                         {"class", file.classes[static_cast<std::size_t>(a.label)]},
                         {"label", a.label},
                         {"class_probability", a.probability}});
  }
  const RankedTask& nearest = image.ranked.front();
  return {{"path", path},
          {"known", !image.answers.empty()},
          {"nearest", files[nearest.task].task},
          {"distance", std::sqrt(nearest.distance)},
          {"answers", shortlist}};
}

std::string csv_of(const std::string& path, const InferredImage& image, const std::vector<TaskFile>& files) {
  if (image.answers.empty()) return csv_field(path) + ",,,,\n";
  const auto& a = image.answers.front();
  const TaskFile& file = files[a.task.task];
  return fmt::format("{},{},{},{},{}\n", csv_field(path), csv_field(file.task), exact(a.task.probability),
                     csv_field(file.classes[static_cast<std::size_t>(a.label)]), exact(a.probability));
}

}  // namespace

void add_inference_options(Command c, int& shortlist, double& refuse, Option needed) {
  c.add_option("--shortlist", shortlist, "how many of the nearest tasks' networks run for an image")
      .range(1, 1'000'000)
      .needs(needed)
      .shows_default();
  c.add_option("--refuse", refuse,
               "leave out a task if an image is farther from it than this share of the task's own validation "
               "images; 1: leave out none")
      .check([](const std::string& text) {
        const double share = std::strtod(text.c_str(), nullptr);
        return share > 0 && share <= 1 ? ""
                                       : fmt::format("expected a share above 0 and up to 1, got '{}'", text);
      })
      .needs(needed)
      .shows_default();
}

void predict_by_map(Common& common, const PredictOptions& o, const std::vector<std::string>& paths) {
  const RunFolder folder(o.run);
  folder.record();  // an Error unless this is a run folder
  const TaskMap map = read_task_map(map_path(folder));
  const std::vector<TaskFile> files = task_files_of(map, folder);
  const Backbone backbone = backbone_of(files.front(), common.weights(o.backbone), common.resolved_device(),
                                        common.resolved_dtype());
  if (!common.quiet) log_line(backbone.describe());
  check_fits(map, folder, backbone, files.front().size);
  Json images = Json::array();
  std::string csv = "image,task,task_probability,class,class_probability\n";
  Table table({"image", "task", "probability", "class", "probability"}, {true, true, false, true, false});
  std::size_t predicted = 0;
  for_images(paths, map.size, [&](const data::ImageStore& part) {
    const FeatureRows features = map_images(backbone, part).features;
    const auto inferred = infer(backbone, map, files, part, features, {o.shortlist, o.refuse});
    for (std::size_t i = 0; i < inferred.size(); ++i, ++predicted) {
      const std::string& path = part.samples()[i].path;
      if (common.json) {
        images.push_back(json_of(path, inferred[i], files));
      } else if (o.csv) {
        csv += csv_of(path, inferred[i], files);
      } else if (inferred[i].answers.empty()) {
        table.row({path, none, "", "", ""});
      } else {
        const auto& a = inferred[i].answers.front();
        const TaskFile& file = files[a.task.task];
        table.row({path, file.task, percent(a.task.probability),
                   file.classes[static_cast<std::size_t>(a.label)], percent(a.probability)});
      }
    }
  });
  if (common.json)
    print_json({{"run", o.run}, {"shortlist", o.shortlist}, {"refuse", o.refuse}, {"images", images}});
  else
    print(o.csv ? csv : table.text());
  if (predicted < paths.size()) common.exit_status = 1;
}

}  // namespace reprise::clr
