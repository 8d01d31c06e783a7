// clr demo-data: draws small example tasks.
#include "apps/clr/demo/demo_data.h"

#include "apps/clr/commands/commands.h"

namespace reprise::clr {
namespace {

void run_demo_data(const Common& common, const std::string& dir, DemoDataOptions o) {
  o.seed = common.seed;
  write_demo_data(dir, o);
  const std::vector<std::string> all = demo_task_names();
  const std::vector<std::string> tasks(all.begin(), all.begin() + o.count);
  if (common.json) {
    print_json({{"path", dir},
                {"tasks", tasks},
                {"images_per_class", o.images},
                {"size", o.size},
                {"seed", o.seed}});
    return;
  }
  print(fmt::format("{}: {} tasks of {}x{} pixels: {}\n", dir, tasks.size(), o.size, o.size,
                    fmt::join(tasks, ", ")));
}

}  // namespace

void add_demo_data(Command app, Common& common) {
  const auto o = std::make_shared<DemoDataOptions>();
  const auto dir = std::make_shared<std::string>();
  const int most = static_cast<int>(demo_task_names().size());
  const Command c = add_command(app, common, "demo-data", "draw small example tasks into class folders");
  c.add_option("DIR", *dir, "a folder that is empty or does not exist yet").required();
  c.add_option("--count", o->count, fmt::format("number of tasks, 1 to {} (default: {})", most, o->count))
      .range(1, most);
  c.add_option("--images", o->images, fmt::format("number of images in a class (default: {})", o->images))
      .range(1, 3333);
  c.add_option("--size", o->size, fmt::format("height and width in pixels (default: {})", o->size))
      .range(16, 512);
  c.callback([o, dir, &common] { run_demo_data(common, *dir, *o); });
}

}  // namespace reprise::clr
