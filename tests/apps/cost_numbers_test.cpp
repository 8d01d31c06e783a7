// What info says of files and methods, what other commands say of the files that they write, and the
// status of every command.
#include "tests/apps/numbers.h"

namespace reprise::test {
namespace {

class CostNumbers : public Numbers {};

// What each method stores for a task of three classes, on a ResNet-20.
struct MethodNumbers {
  const char* method;
  int kernels, convolutions;
  bool batch_norm;
  int folded;          // numbers per channel that a packed task leaves out
  int int8;            // bytes of a task packed as int8, without its head
  std::int64_t added;  // multiply-adds for an image of 8x8
};

TEST_F(CostNumbers, info_counts_what_methods_cost) {
  // A convolution's multiply-adds: height * width * inputs * outputs * 9. Two additions count as one,
  // those of the head's three biases and of a side convolution to each output.
  const std::int64_t filters = 64 * 9 * (3 * 16 + 6 * 16 * 16) + 16 * 9 * (16 * 32 + 5 * 32 * 32) +
                               4 * 9 * (32 * 64 + 5 * 64 * 64),
                     work = filters + 64 * 3 + 1, outputs = 64 * 16 * 7 + 16 * 32 * 6 + 4 * 64 * 6;
  const int convolutions = body - 2 * channels, head = 3 * 65;
  // In int8 a number takes one byte; a row's step, a filter's centre and a bias take two.
  const std::vector<MethodNumbers> expected = {
      {"bn-only", 0, 0, true, 2, 4 * channels, 0},
      {"clr", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-full", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-mixed", 9 * channels, 0, true, 3, 14 * channels, 9 * outputs},
      {"clr-residual", 10 * channels, 0, true, 2, 18 * channels, 10 * outputs},
      {"finetune", 0, convolutions, true, 3, convolutions + 4 * channels, 0},
      {"linear", 0, 0, false, 0, 0, 0},
      {"scratch", 0, convolutions, true, 3, convolutions + 4 * channels, 0},
      {"side-conv", convolutions / 9, 0, false, 0, convolutions / 9 + 2 * channels,
       filters / 9 + outputs / 2}};
  const words command{"info", "--arch", "resnet20", "--classes", "3", "--size", "8"};
  words all = command;
  all.insert(all.end(), {"--method", "all"});
  const json j = json_of(all);
  EXPECT_EQ(j["arch"], "resnet20");
  EXPECT_EQ(j["classes"], 3);
  EXPECT_EQ(j["size"], 8);
  const Rows table = printed_rows(clr(all).out);
  ASSERT_EQ(j["methods"].size(), expected.size());
  for (const MethodNumbers& m : expected) {
    SCOPED_TRACE(m.method);
    const auto found =
        std::ranges::find_if(j["methods"], [&](const json& c) { return c["method"] == m.method; });
    ASSERT_NE(found, j["methods"].end());
    const json& c = *found;
    const int bn = m.batch_norm ? 2 * channels : 0, own = m.kernels + m.convolutions + 2 * bn + head;
    const int whole = body + statistics + head;
    EXPECT_EQ(c["kernels"], m.kernels);
    EXPECT_EQ(c["convolutions"], m.convolutions);
    EXPECT_EQ(c["batch_norm_affine"], bn);
    EXPECT_EQ(c["batch_norm_statistics"], bn);
    EXPECT_EQ(c["head"], head);
    EXPECT_EQ(c["number_bytes"], 4);
    EXPECT_EQ(c["bytes"], 4 * own);
    EXPECT_EQ(c["network_bytes"], 4 * whole);
    EXPECT_EQ(c["without_head"], own - head);
    EXPECT_EQ(c["body_parameters"], body);
    EXPECT_NEAR(c["without_head_of_body"].get<double>(), static_cast<double>(own - head) / body, 1e-15);
    EXPECT_EQ(c["parameters"], own - bn);
    EXPECT_EQ(c["network_parameters"], body + head);
    EXPECT_EQ(c["multiply_adds"], work);
    EXPECT_EQ(c["multiply_adds_added"], m.added);
    const int fold = c["packed_bytes"]["fold"], f16 = c["packed_bytes"]["f16"],
              int8 = c["packed_bytes"]["int8"];
    EXPECT_EQ(fold, 4 * (own - m.folded * channels));
    EXPECT_EQ(f16, fold / 2);
    EXPECT_EQ(int8, m.int8 + 3 * 64 + 3 * (2 + 2));
    const auto share = [](double part, double of) { return shown_share(part / of, 3); };
    const auto row = std::ranges::find_if(
        table, [&](const Cells& cells) { return !cells.empty() && cells[0] == m.method; });
    ASSERT_NE(row, table.end());
    EXPECT_EQ(*row, (Cells{m.method, shown_count(m.kernels), shown_count(m.convolutions), shown_count(bn),
                           shown_count(bn), shown_count(head), shown_count(4 * own), shown_count(fold),
                           shown_count(f16), shown_count(int8), share(own - head, body),
                           share(own - bn, body + head), share(own, whole), share(int8, 4.0 * whole),
                           "+" + share(static_cast<double>(m.added), static_cast<double>(work))}));
    words one = command;
    one.insert(one.end(), {"--method", m.method});
    const std::string text = clr(one).out;
    EXPECT_SAYS(text, std::string("resnet20, 3 classes, images of 8x8, method ") + m.method);
    Rows rows = printed_rows(text);
    const auto says = [&](const Cells& cells) {
      EXPECT_NE(std::ranges::find(rows, cells), rows.end()) << cells[0] << "\n" << text;
    };
    const auto counted = [&](const char* what, int n) { says({what, shown_count(n), shown_count(4 * n)}); };
    counted("kernels (layers that the method adds)", m.kernels);
    if (m.convolutions > 0) counted("convolutions", m.convolutions);
    EXPECT_EQ(text.find("\nconvolutions") != std::string::npos, m.convolutions > 0);
    counted("batch norm, scale and shift", bn);
    counted("batch norm, running statistics", bn);
    counted("head", head);
    counted("together", own);
    counted("the whole network instead", whole);
    const auto spelled = [&](std::int64_t part, std::int64_t of, const std::string& what) {
      EXPECT_SAYS(text, shown_count(part) + " of " + shown_count(of) + " = " +
                            share(static_cast<double>(part), static_cast<double>(of)) + "  " + what);
    };
    spelled(own - head, body, "what is stored without the head");
    spelled(own - bn, body + head, "parameters of the task with its head");
    spelled(4 * own, 4 * whole, "bytes, with statistics and head");
    spelled(fold, 4 * whole, "bytes, packed for prediction (clr convert --pack fold)");
    spelled(int8, 4 * whole, "bytes, packed for prediction (clr convert --pack int8)");
    spelled(m.added, work, "multiply-adds added");
  }
}

TEST_F(CostNumbers, info_of_a_task_and_of_a_backbone_adds_up) {
  const std::string task = *dir / "run/tasks/dots.safetensors", backbone = *dir / "backbone.safetensors";
  const json j = json_of({"info", task, backbone, "--table"})["files"];
  ASSERT_EQ(j.size(), 2u);
  const json& t = j[0]["task"];
  EXPECT_EQ(j[0]["path"], task);
  EXPECT_EQ(j[0]["format"], "safetensors");
  EXPECT_EQ(j[0]["sha256"], sha256_of(task));
  EXPECT_EQ(t["task"], "dots");
  EXPECT_EQ(t["method"], "clr");
  EXPECT_EQ(t["arch"], "resnet20");
  EXPECT_EQ(t["backbone_identity"], j[1]["network"]["identity"]);
  EXPECT_EQ(t["classes"], json({"class0", "class1", "class2"}));
  EXPECT_EQ(t["size"], 8);
  EXPECT_EQ(t["seed"], 0);
  EXPECT_EQ(t["packed"], "");
  EXPECT_EQ(t["recipe"], json::parse(text("run/run.json"))["recipe"]);
  EXPECT_EQ(t["cost"], (json{{"parameters", 7763},
                             {"reprogramming_parameters", 6192},
                             {"convolution_parameters", 0},
                             {"batch_norm_parameters", 1376},
                             {"head_parameters", 195},
                             {"statistics", 1376},
                             {"bytes", 4 * (7763 + 1376)},
                             {"network_parameters", body + 195},
                             {"network_bytes", 4 * (body + 195 + statistics)},
                             {"backbone_body_parameters", body}}));
  const json& n = j[1]["network"];
  EXPECT_EQ(n["classes"], 10);
  EXPECT_EQ(n["body_parameters"], body);
  EXPECT_EQ(n["head_parameters"], 650);
  for (const char* none : {"missing", "extra", "shape_differs"}) EXPECT_EQ(n[none], json::array()) << none;
  for (const char* none : {"converted", "skipped", "candidates"})
    EXPECT_EQ(j[1][none], json::array()) << none;
  EXPECT_EQ(j[1]["section"], "");
  EXPECT_EQ(j[1]["prefix"], "");

  const Outcome o = clr({"info", task, "--table"});
  EXPECT_SAYS(
      o.out,
      "7,763 of 269,267 parameters of the whole network (backbone body and a head for this task) = 2.88 %");
  EXPECT_SAYS(o.out,
              "7,568 of 269,072 parameters of the backbone's body (the task's head left out) = 2.81 %");
  EXPECT_SAYS(o.out, "36,556 of 1,082,572 bytes of tensors of the whole network = 3.38 %");
  EXPECT_SAYS(o.out, "best epoch " + t["best_epoch"].dump() + ", on cpu in f32");
  for (const auto& [split, said] :
       {std::pair("train", "train accuracy "), {"val", "val accuracy  "}, {"test", "test accuracy "}})
    EXPECT_SAYS(o.out, said + shown_share(t[std::string(split) + "_accuracy"]) + "\n");
  EXPECT_EQ(o.out.find("metadata"), std::string::npos) << "a task's stands in its own lines";
  EXPECT_EQ(clr({"info", task, backbone, "--table"}).out,
            o.out + "\n" + clr({"info", backbone, "--table"}).out);
  EXPECT_SAYS(clr({"info", task, "--method", "linear", "--table"}).out,
              "resnet20, 10 classes, images of 32x32, method linear");
  // Tensors: as many bytes as numbers have, in all rows and together.
  const Rows rows = printed_rows(o.out);
  std::int64_t numbers = 0;
  for (const json& tensor : j[0]["tensors"]) {
    std::int64_t count = 1;
    std::string shape;
    for (const std::int64_t size : tensor["shape"])
      count *= size, shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    numbers += count;
    const Cells row{tensor["name"], "[" + shape + "]", "f32", shown_count(4 * count)};
    EXPECT_NE(std::ranges::find(rows, row), rows.end()) << row[0];
    EXPECT_EQ(tensor["dtype"], "f32");
  }
  EXPECT_EQ(numbers, 7763 + 1376);
  const Cells together{std::to_string(j[0]["tensors"].size()) + " tensors", "9,139 numbers", "36,556"};
  EXPECT_NE(std::ranges::find(rows, together), rows.end()) << o.out;
  // Layers: of the task at its own size, of the backbone at the one it was made for.
  for (const std::size_t f : {0u, 1u}) {
    const int size = f == 0 ? 8 : 32, head = f == 0 ? 195 : 650;
    std::int64_t parameters = 0, trained = 0, multiply_adds = 0;
    for (const json& layer : j[f]["layers"]) {
      parameters += layer["parameters"].get<std::int64_t>(), trained += layer["trained"].get<std::int64_t>();
      const std::string name = layer["name"], type = layer["type"];
      if (name == "conv1" || name == "layer2.0.conv1" || name == "layer3.2.conv2") {
        const std::int64_t in = name == "conv1"            ? 3
                                : name == "layer2.0.conv1" ? 16
                                                           : 64,
                           out = name == "conv1"            ? 16
                                 : name == "layer2.0.conv1" ? 32
                                                            : 64;
        const int side = size * 16 / static_cast<int>(out);
        EXPECT_EQ(layer["output"], json({1, side, side, out})) << name;
        EXPECT_EQ(layer["flops"], 2 * side * side * in * out * 9) << name;
        EXPECT_EQ(layer["parameters"], in * out * 9) << name;
        EXPECT_EQ(layer["trained"], 0) << name;
        ++multiply_adds;
      }
      if (name == "linear") {
        EXPECT_EQ(layer["output"], json({1, head / 65}));
        EXPECT_EQ(layer["parameters"], head);
      }
    }
    EXPECT_EQ(multiply_adds, 3);
    EXPECT_EQ(parameters, body + head + (f == 0 ? 6192 : 0));
    EXPECT_EQ(trained, f == 0 ? 7763 : 0);
  }
  const Cells total = rows.back();
  EXPECT_EQ(total[0], "total");
  const std::string sums = o.out.substr(o.out.rfind("total"));
  EXPECT_SAYS(sums, shown_count(body + 195 + 6192));
  EXPECT_SAYS(sums, " 7,763 ");
  std::int64_t flops = 0;
  for (const json& layer : j[0]["layers"]) flops += layer["flops"].get<std::int64_t>();
  EXPECT_SAYS(sums, " " + shown_count(flops) + "\n");
  EXPECT_SAYS(o.out, "for one image of 8x8");
  EXPECT_EQ(json_of({"info", backbone, "--table", "--size", "16"})["files"][0]["layers"][0]["output"],
            json({1, 16, 16, 16}));
}

TEST_F(CostNumbers, what_is_written_is_told) {
  const std::string task = *dir / "run/tasks/dots.safetensors", backbone = *dir / "backbone.safetensors";
  EXPECT_EQ(json_of({"convert", backbone, *dir / "b.pth"}), (json{{"in", backbone},
                                                                  {"in_format", "safetensors"},
                                                                  {"out", *dir / "b.pth"},
                                                                  {"out_format", "pth-zip"},
                                                                  {"section", ""},
                                                                  {"prefix", ""},
                                                                  {"tensors", tiny_backbone().size()},
                                                                  {"skipped", json::array()},
                                                                  {"converted", json::array()}}));
  const Outcome back = clr({"convert", *dir / "b.pth", *dir / "b2.safetensors"});
  EXPECT_EQ(back.out, *dir / "b.pth" + " (pth-zip) -> " + *dir / "b2.safetensors" +
                          " (safetensors): " + std::to_string(tiny_backbone().size()) + " tensors\n");
  const json full = json_of({"convert", "--full", task, *dir / "full.safetensors"});
  EXPECT_EQ(full["in"], task);
  EXPECT_EQ(full["out"], *dir / "full.safetensors");
  EXPECT_EQ(full["tensors"], data::read_weights(*dir / "full.safetensors").tensors.size());
  const std::string packed = *dir / "packed.safetensors";
  const json pack =
      json_of({"convert", "--pack", "fold", task, packed, "--data", *dir / "data", "--device", "cpu"});
  EXPECT_EQ(pack["packed"], "fold");
  EXPECT_EQ(pack["bytes_in"], fs::file_size(task));
  EXPECT_EQ(pack["bytes_out"], fs::file_size(packed));
  EXPECT_EQ(pack["tensor_bytes_in"], 36556);
  EXPECT_EQ(pack["val"]["images"], 6);
  EXPECT_EQ(pack["val"]["accuracy"], (*outcome)["tasks"][0]["val_accuracy"]);
  const Rows rows = printed_rows(clr({"convert", "--pack", "fold", task, packed}).out);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0], (Cells{"bytes", "tensors", "header"}));
  for (const auto& [row, end] : {std::pair(1, "in"), {2, "out"}}) {
    const std::int64_t bytes = pack[std::string("bytes_") + end],
                       own = pack[std::string("tensor_bytes_") + end];
    EXPECT_EQ(rows[static_cast<std::size_t>(row)],
              (Cells{pack[end], shown_count(bytes), shown_count(own), shown_count(bytes - own)}));
  }
  const json& val = pack["val"];
  EXPECT_GT(val["largest_change"], 0);
  EXPECT_LT(val["largest_change"], 1e-3);
  EXPECT_SAYS(
      clr({"convert", "--pack", "fold", task, packed, "--data", *dir / "data", "--device", "cpu"}).out,
      "6 validation images: accuracy " + shown_share(val["accuracy"]) + " -> " +
          shown_share(val["packed_accuracy"]) + ", " + val["flipped"].dump() +
          " predictions flipped, largest change of a logit ");
  fs::create_directories(*dir / "renamed");
  fs::copy(*dir / "data/dots", *dir / "renamed/dots", fs::copy_options::recursive);
  for (const std::string split : {"train", "val", "test"})
    fs::rename(*dir / "renamed/dots/" + split + "/class1", *dir / "renamed/dots/" + split + "/classA");
  const Outcome renamed = clr({"convert", "--pack", "fold", task, packed, "--data", *dir / "renamed"});
  EXPECT_EQ(renamed.status, 1);
  EXPECT_SAYS(renamed.err, "task dots there has other classes");
  const words pretrain{
      "pretrain", "--data", *dir / "data", "--task", "dots",     "--output", *dir / "own.safetensors",
      "--size",   "8",      "--epochs",    "2",      "--device", "cpu",      "--batch",
      "5",        "--quiet"};
  const json made = json_of(pretrain);
  EXPECT_EQ(made["output"], *dir / "own.safetensors");
  EXPECT_EQ(clr(pretrain).out, *dir / "own.safetensors" + ": resnet20 trained on dots, best epoch " +
                                   made["best_epoch"].dump() + " of 2, val " +
                                   shown_share(made["val_accuracy"]) + "\n");
  EXPECT_NEAR(made["val_accuracy"].get<double>() * 6, std::round(made["val_accuracy"].get<double>() * 6),
              1e-9);
  const json demo =
      json_of({"demo-data", *dir / "demo", "--count", "1", "--images", "2", "--size", "16", "--seed", "3"});
  const std::string drawn = fs::directory_iterator(*dir / "demo")->path().filename();
  EXPECT_EQ(demo, (json{{"path", *dir / "demo"},
                        {"tasks", json::array({drawn})},
                        {"images_per_class", 2},
                        {"size", 16},
                        {"seed", 3}}));
}

// Statuses: 0 for what was done, 1 for input that is refused, 2 for a command that cannot be meant.
TEST_F(CostNumbers, every_command_ends_with_its_status) {
  const std::string backbone = *dir / "backbone.safetensors", data = *dir / "data", run = *dir / "run",
                    task = run + "/tasks/dots.safetensors", image = data + "/dots/val/class0/val0.ppm",
                    nothing = *dir / "nothing", out = *dir / "out.safetensors";
  struct Case {
    int status;
    words arguments;
  };
  const std::vector<Case> cases = {
      {1, {"train", "--backbone", backbone, "--data", nothing, "--run", nothing}},
      {1, {"train", "--backbone", nothing, "--data", data, "--run", nothing}},
      {2, {"train", "--backbone", backbone, "--data", data}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--epochs", "-1"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--val-fraction", "0"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--val-fraction", "1"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--val-fraction", "0.5x"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--size", "0"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--size", "8193"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--lr-step", "0"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--steps", "0"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--max-images", "0"}},
      {2,
       {"train", "--method", "scratch", "--arch", "resnet20", "--copy-backbone", "--data", data, "--run",
        nothing}},
      {0, {"eval", "--run", run, "--data", data}},
      {1, {"eval", "--run", nothing, "--data", data}},
      {1, {"eval", "--run", run, "--data", nothing}},
      {1, {"eval", "--run", run, "--data", data, "--backbone", task}},
      {2, {"eval", "--run", run}},
      {2, {"eval", "--run", run, "--data", data, "--split", "all"}},
      {1, {"map", "--run", run, "--data", data}},  // too few validation images
      {1, {"map", "--run", nothing, "--data", data}},
      {2, {"map", "--run", run}},
      {0, {"predict", "--task", task, image}},
      {1, {"predict", "--task", task, nothing}},
      {1, {"predict", "--task", nothing, image}},
      {1, {"predict", "--run", run, image}},  // it has no map
      {2, {"predict", "--task", task, "--run", run, image}},
      {2, {"predict", "--task", task, image, "--top", "-1"}},
      {2, {"predict", "--task", task, image, "--csv", "--json"}},
      {2, {"predict", "--task", task, image, "--shortlist", "2"}},
      {2, {"predict", "--run", run, image, "--refuse", "1.5"}},
      {2, {"predict", "--run", run, image, "--certify"}},
      {1, {"forward", "--backbone", backbone, "--input", nothing, "--output", out}},
      {2, {"forward", "--backbone", backbone, "--input", nothing}},
      {1, {"pretrain", "--data", nothing, "--output", out}},
      {2, {"pretrain", "--data", data, "--output", out, "--size", "8"}},  // which of the tasks?
      {2, {"pretrain", "--data", data, "--task", "dots", "--output", out, "--arch", "none"}},
      {0, {"tasks", "--data", data}},
      {1, {"tasks", "--data", nothing}},
      {1, {"tasks", "--data", data, "--tasks", "none"}},
      {2, {"tasks", "--data", data, "--epoch", "1"}},
      {2, {"tasks", "--data", data, "--list", "dots", "--rng", "torch"}},
      {2, {"tasks", "--data", data, "--backbone", backbone}},
      {0, {"info", backbone}},
      {1, {"info", nothing}},
      {1, {"info", image}},
      {1, {"info", backbone, nothing}},
      {2, {"info", backbone, task, "--method", "clr"}},
      {2, {"info", backbone, "--classes", "3"}},
      {2, {"audit", "ops", "grad"}},
      {2, {"train", "--backbone", backbone, "--data", data, "--run", nothing, "--threads", "0"}},
      {1, {"convert", nothing, out}},
      {1, {"convert", "--pack", "fold", backbone, out}},  // no task file
      {1, {"convert", "--full", task, task}},
      {2, {"convert", backbone, out, "--data", data}},
      {2, {"convert", backbone, out, "--classes", "a,b"}},
      {2, {"convert", "--pack", "none", task, out}},
      {2, {"convert", "--full", task, out, "--classes", "a,b,c"}},
      {0, {"report", run}},
      {1, {"report", nothing}},
      {1, {"report", run, "--html", nothing + "/page.html"}},
      {2, {"report"}},
      {1, {"reproduce", "--data", nothing, "--backbone", backbone, "--run", nothing}},
      {2, {"reproduce", "--data", nothing, "--method", "none"}},
      {2, {"reproduce"}},
      {1, {"audit", "verify", nothing}},
      {2, {"audit", "verify"}},
      {1, {"audit", "repeat", "--backbone", nothing, "--data", data}},
      {2, {"audit", "repeat", "--steps", "0"}},
      {1, {"audit", "layers", "--backbone", backbone, "--images", nothing}},
      {2, {"audit", "layers", "--backbone", backbone}},
      {1, {"audit", "nan", "--backbone", backbone, "--data", nothing}},
      {2, {"audit", "nan"}},
      {1, {"audit", "drift", "--backbone", backbone, "--data", nothing}},
      {2, {"audit", "drift", "--backbone", backbone}},
      {2, {"audit", "ops", "--backbone", backbone}},
      {2, {"audit", "grad", "--dtype", "bf16"}},
      {1, {"audit", "margin", "--task", task, "--images", nothing}},
      {2, {"audit", "margin", "--images", data}},
      {1, {"demo-data", data}},
      {2, {"demo-data", nothing, "--size", "8"}},
  };
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& word : c.arguments) line += word + " ";
    SCOPED_TRACE(line);
    words arguments = c.arguments;
    arguments.emplace_back("--quiet");
    const Outcome o = clr(arguments);
    EXPECT_EQ(o.status, c.status) << o.out << o.err;
    EXPECT_EQ(o.err.find("clr: ") != std::string::npos, c.status != 0) << o.err;
    EXPECT_EQ(o.err.find("unexpected"), std::string::npos) << o.err;
    EXPECT_EQ(o.err.find("internal error"), std::string::npos) << o.err;
    if (c.status == 2) {
      EXPECT_EQ(o.out, "");
    }
    if (c.status == 0) {
      EXPECT_NE(o.out, "");
    }
    EXPECT_FALSE(exists(nothing));
    EXPECT_FALSE(exists(out));
  }
}

}  // namespace
}  // namespace reprise::test
