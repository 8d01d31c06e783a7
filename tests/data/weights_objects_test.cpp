// Checkpoints with all sorts of objects in them: what is read, what is opaque, and that nothing is
// ever executed.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "tests/data/temporary_folder.h"
#include "tests/data/torch_files.h"
#include "tests/data/weights_files.h"

namespace reprise::data::testing_weights {
namespace {

using namespace std::string_literals;
using Items = TorchFile::Items;

WeightFile parsed(const std::string& content, const ChooseStateDict& choose = {}) {
  return parse_weights(bytes_from(content), "test", choose);
}
bool lists(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}
std::vector<float> values_of(const WeightFile& file, const char* name) {
  const Tensor* t = file.find(name);
  if (t == nullptr) return {};
  const auto values = t->values<float>();
  return {values.begin(), values.end()};
}
std::string called(const std::string& module, const std::string& name, const std::string& arguments = "") {
  return global(module, name) + "(" + arguments + "tR";
}

// --- objects beside the state dict
// ----------------------------------------------------------------------

TEST(WeightsObjects, AnythingBesideTheStateDictIsOpaque) {
  const std::string attributes = "}" + text("lr") + "K\x01s";
  const std::pair<std::string, std::string> cases[] = {
      {global("argparse", "Namespace") + ")\x81" + attributes + "b", "argparse.Namespace"},
      {called("collections", "Counter", "}K\x0aK\x01s"), "a dictionary of 1"},
      {called("collections", "defaultdict", global("builtins", "list")), "a dictionary of 0"},
      {called("builtins", "set",
              "](K\x01"
              "e"),
       "builtins.set"},
      {"\x8f(K\x01K\x02\x90", "a set"},
      {"(K\x01\x91", "a set"},
      {called("pathlib", "PurePosixPath", text("/") + text("data")), "pathlib.PurePosixPath"},
      {called("builtins", "complex", "NN"), "builtins.complex"},
      {called("numpy.core.multiarray", "_reconstruct", global("numpy", "ndarray")) + "(NNtb",
       "a numpy array"},
      {global("a.b", "Dict") + ")\x81(" + text("k") + "K\x01u" + attributes + "b", "a.b.Dict"},
      {global("a.b", "List") + ")\x81(K\x01K\x02"
                               "e",
       "a.b.List"},
      {global("a.b", "Named") + ")}\x92", "a.b.Named"},
      {"(" + global("__main__", "Old") + "K\x01o" + attributes + "b", "__main__.Old"},
      {global("a.b", "Net") + ")\x81" + TorchFile::dict({{"_parameters", "}"}, {"_modules", "}"}}) + "b",
       "a whole module (a.b.Net)"},
      {called("functools", "partial", global("os", "system")) + "(NtR", "functools.partial"},
      {global("a\x1b[2J", "b"), "a\\x1b[2J.b"},
      {"\x96" + le<std::uint64_t>(2) + "xy", "2 bytes"},
      {"N2\x86", "a tuple of 2"},
  };
  for (const auto& [object, what] : cases) {
    TorchFile f;
    const std::string a = f.tensor({1, 2}, {2});
    const WeightFile file = parsed(f.file(
        TorchFile::dict({{"x", object}, {"state_dict", TorchFile::dict({{"a", a}})}, {"epoch", "K\x03"}})));
    EXPECT_EQ(file.section, "state_dict") << what;
    EXPECT_EQ(values_of(file, "a"), (std::vector<float>{1, 2})) << what;
    EXPECT_TRUE(lists(file.skipped, "x: " + what))
        << what << " / " << fmt::format("{}", fmt::join(file.skipped, "; "));
    EXPECT_TRUE(lists(file.skipped, "epoch: a number (3)")) << what;
  }
}

TEST(WeightsObjects, CyclesEnd) {
  TorchFile f;
  const std::string a = f.tensor({1}, {1});
  // An opaque object that holds itself, a dictionary and a list that hold each other.
  const std::string object = global("a", "B") + ")\x81q\x05}" + text("self") + "h\x05sb";
  const std::string loop = "}q\x06" + text("list") + "]q\x07h\x06" + "as" + text("again") + "h\x06s";
  const WeightFile file =
      parsed(f.file(TorchFile::dict({{"o", object}, {"l", loop}, {"model", TorchFile::dict({{"a", a}})}})));
  EXPECT_EQ(file.section, "model");
  EXPECT_EQ(file.tensors.size(), 1U);
}

// --- which state dict
// -----------------------------------------------------------------------------------

TEST(WeightsObjects, EveryDictionaryOfTensorsIsACandidate) {
  TorchFile f;
  const auto one = [&](const char* name) { return TorchFile::dict({{name, f.tensor({1}, {1})}}); };
  const std::string deep = TorchFile::dict({{"networks", "](" + one("a") + one("b") + "e"}});
  const std::string numbered = "}K\x00"s + one("momentum") + "s";
  const std::string content =
      f.file(TorchFile::dict({{"best_acc1", f.tensor({76}, {})},
                              {"deep", deep},
                              {"optimizer", TorchFile::dict({{"state", numbered}})}}));
  const WeightFile undecided = parsed(content);
  EXPECT_TRUE(undecided.tensors.empty());
  std::vector<std::string> sections;
  for (const StateDict& c : undecided.candidates) sections.push_back(c.section);
  EXPECT_EQ(sections,
            (std::vector<std::string>{"", "deep.networks.0", "deep.networks.1", "optimizer.state.0"}));
  const WeightFile chosen = parsed(content, [](const auto&) { return 2; });
  EXPECT_EQ(chosen.section, "deep.networks.1");
  EXPECT_EQ(values_of(chosen, "b").size(), 1U);
  EXPECT_EQ(chosen.candidates.size(), 3U);
  EXPECT_EQ(chosen.skipped,
            (std::vector<std::string>{"deep.networks.0: a dictionary of 1", "best_acc1: a tensor",
                                      "optimizer: a dictionary of 1"}));
}

// --- what rebuild functions say
// ---------------------------------------------------------------------------

TEST(WeightsObjects, TheNegativeBitIsObeyed) {
  TorchFile f;
  const auto bits = [&](const Items& items) { return f.tensor({1.5F, -2}, {2}, TorchFile::dict(items)); };
  const WeightFile file = parsed(f.file(TorchFile::dict({{"plain", f.tensor({1.5F, -2}, {2}, "N")},
                                                         {"neg", bits({{"neg", "\x88"}})},
                                                         {"not", bits({{"neg", "\x89"}, {"conj", "\x89"}})},
                                                         {"conj", bits({{"conj", "\x88"}})},
                                                         {"both", bits({{"conj", "\x88"}, {"neg", "\x88"}})},
                                                         {"other", bits({{"scaled", "\x88"}})},
                                                         {"odd", bits({{"neg", "K\x01"}})},
                                                         {"list", f.tensor({1}, {1}, "]")}})));
  EXPECT_EQ(values_of(file, "plain"), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(values_of(file, "neg"), (std::vector<float>{-1.5F, 2}));
  EXPECT_EQ(values_of(file, "both"), (std::vector<float>{-1.5F, 2}));
  EXPECT_EQ(values_of(file, "not"), (std::vector<float>{1.5F, -2}));
  EXPECT_EQ(values_of(file, "conj"), (std::vector<float>{1.5F, -2}));
  for (const char* name : {"other", "odd", "list"})
    EXPECT_EQ(file.unread.at(name), "a tensor with unknown metadata") << name;
}

TEST(WeightsObjects, RebuildFunctionsThatAreReadAndThatAreNot) {
  TorchFile f;
  const std::string plain = f.tensor({1, 2}, {2}), none = "K\x00K\x02\x85K\x01\x85\x89}"s;
  const auto v3 = [&](const char* dtype) {
    return called("torch._utils", "_rebuild_tensor_v3",
                  f.storage({1, 2}, "UntypedStorage") + none + global("torch", dtype));
  };
  const std::string arguments = "(" + f.storage({1, 2}) + none + "t";
  const auto subclass = [&](const std::string& function, const std::string& state) {
    return called("torch._tensor", "_rebuild_from_type_v2",
                  function + global("__main__", "Sub") + arguments + state);
  };
  const std::string rebuild = global("torch._utils", "_rebuild_tensor_v2");
  const std::string data = TorchFile::dict({{"data", f.tensor({9, 9}, {2})}});
  const auto parameter = [&](const std::string& state) {
    return called("torch._utils", "_rebuild_parameter_with_state", plain + "\x88}" + state);
  };
  const std::vector<std::pair<Items::value_type, const char*>> cases = {
      {{"v3", v3("float32")}, ""},
      {{"uint16", v3("uint16")}, ""},
      {{"float8", v3("float8_e4m3fn")}, "elements of type torch.float8_e4m3fn are not supported"},
      {{"subclass", subclass(rebuild, "N")}, ""},
      {{"attributes", subclass(rebuild, "}" + text("k") + "Ns")}, ""},
      {{"slots", subclass(rebuild, "}" + data + "\x86")}, "torch._tensor._rebuild_from_type_v2"},
      {{"replaced", subclass(rebuild, data)}, "torch._tensor._rebuild_from_type_v2"},
      {{"by another", subclass(global("os", "system"), "N")}, "os.system"},
      {{"wrapper", subclass(global("torch._utils", "_rebuild_wrapper_subclass"), "N")},
       "a tensor subclass without plain values"},
      {{"parameter", called("torch._utils", "_rebuild_parameter", plain + "\x88}")}, ""},
      {{"with state", parameter("}" + text("k") + "Ns")}, ""},
      {{"with data", parameter(data)}, "torch._utils._rebuild_parameter_with_state"},
      {{"set again", plain + "(" + f.storage({9, 9}) + none.substr(0, 8) + "tb"},
       "a tensor with a state of its own"},
      {{"sparse", called("torch._utils", "_rebuild_sparse_tensor", "NN")}, "a sparse tensor"},
      {{"quantised", called("torch._utils", "_rebuild_qtensor", f.storage({1}, "QInt8Storage"))},
       "a quantised tensor"},
      {{"quantised parameter",
        called("torch._utils", "_rebuild_parameter", called("torch._utils", "_rebuild_qtensor") + "\x88}")},
       "a quantised tensor"},
      {{"nested", called("torch._utils", "_rebuild_nested_tensor")}, "a nested tensor"},
      {{"meta", called("torch._utils", "_rebuild_meta_tensor_no_storage")}, "a tensor without values"},
      {{"numpy", called("torch._utils", "_rebuild_device_tensor_from_numpy")},
       "a tensor kept as a numpy array"},
      {{"short", called("torch._utils", "_rebuild_tensor_v2", f.storage({1}))},
       "a tensor of an unknown form"},
      {{"tail", called("torch._utils", "_rebuild_tensor_v2", f.storage({1, 2}) + none + "NN")},
       "a tensor of an unknown form"},
      {{"view", called("torch._utils", "_rebuild_tensor_v2",
                       "(" + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") +
                           integer(2) + "(" + text("v") + "K\x00K\x01ttQ"s + none)},
       "a tensor of an unknown form"},
  };
  Items items;
  for (const auto& [item, why] : cases) items.push_back(item);
  const WeightFile file = parsed(f.file(TorchFile::dict(items)));
  for (const auto& [item, why] : cases) {
    const auto unread = file.unread.find(item.first);
    EXPECT_EQ(unread == file.unread.end() ? "" : unread->second, why) << item.first;
    EXPECT_EQ(file.find(item.first) != nullptr, *why == '\0') << item.first;
    if (*why == '\0' && item.first != "uint16") {
      EXPECT_EQ(values_of(file, item.first.c_str()), (std::vector<float>{1, 2})) << item.first;
    }
  }
  // The first two 16-bit words of 1.0F.
  EXPECT_EQ(file.find("uint16")->values<std::int64_t>()[1], 0x3F80);
}

// --- archives of other kinds
// --------------------------------------------------------------------------------

TEST(WeightsObjects, OtherFilesAreNamed) {
  const auto with = [](const char* name) { return zip({{name, "x"}, {"m/data.pkl", "\x80\x02}."}}); };
  const std::string module =
      global("__main__", "Net") + ")\x81" +
      TorchFile::dict({{"training", "\x89"}, {"_parameters", "}"}, {"_modules", "}"}}) + "b";
  const std::pair<std::string, const char*> cases[] = {
      {TorchFile().file(module), "holds a whole module (__main__.Net); save model.state_dict() instead"},
      {TorchFile().file(TorchFile::dict({{"model", module}})), "model: a whole module (__main__.Net)"},
      {with("m/code/__torch__.py"), "TorchScript archive"},
      {with("m/constants.pkl"), "TorchScript archive"},
      {with("archive_format"), "exported program"},
      {with("program/archive_format"), "exported program"},
      {with("serialized_exported_program.json"), "exported program"},
      {with("m/.data/extern_modules"), "torch.package"},
      {zip({{"word/document.xml", "x"}}), "its first entry is word/document.xml"},
      {"\x08\x08\x12\x07pytorch\x1a\x05"
       "2.0.0:\x10",
       "ONNX model"},
      {"\x08\x09(\x01:\x10", "ONNX model"},
      {"\x08\x09"
       "B\x02\x10\x0d",
       "ONNX model"},
      {"\x80\x04\x95 rest", "pickle that torch.save did not write"},
  };
  for (const auto& [content, word] : cases) {
    const std::string reason = refusal(bytes_from(content));
    EXPECT_NE(reason.find(word), std::string::npos) << word << ": " << reason;
  }
}

// --- malicious pickles
// ----------------------------------------------------------------------------------------

// One for each way into code that pickle has. The commands would make the file `marker`.
Items attacks(const std::string& marker) {
  const std::string shell = "touch " + marker, python = "open('" + marker + "','w')";
  const auto bytes = [](const std::string& s) { return "B" + le(static_cast<std::uint32_t>(s.size())) + s; };
  const std::string nested = "\x80\x02" + called("os", "system", text(shell)) + ".";
  Items all{
      {"GLOBAL and REDUCE", called("os", "system", text(shell))},
      {"STACK_GLOBAL", text("posix") + text("system") + "\x93" + text(shell) + "\x85R"},
      {"STACK_GLOBAL from the memo", text("system") +
                                         "q\x0a"
                                         "0" +
                                         text("posix") +
                                         "q\x0b"
                                         "0h\x0bh\x0a\x93" +
                                         text(shell) + "\x85R"},
      {"STACK_GLOBAL from a sum", "(" + text("posix") + text("system") + "0" + text("system") + "1" +
                                      text("os") + text("system") + "\x93" + text(shell) + "\x85R"},
      {"NEWOBJ", global("subprocess", "Popen") + text(shell) + "\x85\x81"},
      {"NEWOBJ_EX", global("subprocess", "Popen") + ")" +
                        TorchFile::dict({{"args", text(shell)}, {"shell", "\x88"}}) + "\x92"},
      {"OBJ", "(" + global("os", "system") + text(shell) + "o"},
      {"INST", "(" + text(shell) + "ios\nsystem\n"},
      {"EXT1", "\x82\x01" + text(shell) + "\x85R"},
      {"EXT2", "\x83\x01\x01" + text(shell) + "\x85R"},
      {"EXT4", "\x84\x01\x01\x01\x01" + text(shell) + "\x85R"},
      {"BUILD with __setstate__", global("a", "B") + ")\x81" +
                                      TorchFile::dict({{"__setstate__", global("os", "system")}}) + "b" +
                                      text(shell) + "b"},
      {"BUILD on a global", global("os", "environ") + TorchFile::dict({{"PATH", text("/")}}) + "b"},
      {"SETITEM on a global", global("sys", "modules") + text("os") + "Ns"},
      {"copyreg.__newobj__", called("copyreg", "__newobj__", global("subprocess", "Popen") + text(shell))},
      {"copyreg._reconstructor", called("copyreg", "_reconstructor",
                                        global("subprocess", "Popen") + global("builtins", "object") + "N")},
      {"copyreg.__reduce_ex__", called("copyreg", "__reduce_ex__", global("os", "system") + "K\x02")},
      {"a function's result",
       called("builtins", "getattr", global("os", "path") + text("os")) + "(" + text(shell) + "tR"},
      {"functools.partial", called("functools", "partial", global("os", "system") + text(shell)) + ")R"},
      {"operator.methodcaller",
       called("operator", "methodcaller", text("system") + text(shell)) + global("os", "path") + "\x85R"},
      {"builtins.map", called("builtins", "list",
                              called("builtins", "map", global("os", "system") + "]" + text(shell) + "a"))},
      {"a module's source",
       "(" + text("module") + global("__main__", "Net") + text("n.py") + text(python) + "tQ"},
      {"a persistent id", text(shell) + "Q"},
      {"text persistent id", "P" + shell + "\n"},
      {"a storage's type",
       "(" + text("storage") + global("os", "system") + text("9") + text("cpu") + integer(0) + "tQ"},
      {"a tensor's rebuilder",
       called("torch._tensor", "_rebuild_from_type_v2",
              global("os", "system") + global("torch", "Tensor") + "(" + text(shell) + "tN")},
      {"a parameter's tensor",
       called("torch._utils", "_rebuild_parameter", called("os", "system", text(shell)) + "\x88}")},
      {"an OrderedDict's pairs", called("collections", "OrderedDict",
                                        "](" + called("os", "system", text(shell)) +
                                            "N\x86"
                                            "e")},
      {"a defaultdict's factory", called("collections", "defaultdict", global("os", "system"))},
  };
  const std::pair<const char*, const char*> with_shell[] = {{"os", "system"},
                                                            {"nt", "system"},
                                                            {"posix", "popen"},
                                                            {"os", "execvp"},
                                                            {"os", "spawnlp"},
                                                            {"subprocess", "call"},
                                                            {"subprocess", "check_output"},
                                                            {"subprocess", "run"},
                                                            {"commands", "getoutput"},
                                                            {"pty", "spawn"},
                                                            {"platform", "popen"},
                                                            {"asyncio", "create_subprocess_shell"},
                                                            {"webbrowser", "open"},
                                                            {"multiprocessing.util", "spawnv_passfds"},
                                                            {"shutil", "rmtree"},
                                                            {"os", "remove"},
                                                            {"os", "mkdir"},
                                                            {"torch.utils.cpp_extension", "load"},
                                                            {"distutils.spawn", "spawn"},
                                                            {"pip", "main"}};
  const std::pair<const char*, const char*> with_python[] = {{"builtins", "eval"},
                                                             {"builtins", "exec"},
                                                             {"__builtin__", "eval"},
                                                             {"__builtin__", "execfile"},
                                                             {"builtins", "compile"},
                                                             {"builtins", "__import__"},
                                                             {"importlib", "import_module"},
                                                             {"runpy", "run_path"},
                                                             {"runpy", "_run_code"},
                                                             {"code", "InteractiveInterpreter"},
                                                             {"timeit", "timeit"},
                                                             {"pdb", "run"},
                                                             {"cProfile", "run"},
                                                             {"doctest", "debug_script"},
                                                             {"bdb", "Bdb.run"},
                                                             {"trace", "Trace.run"},
                                                             {"numpy.testing._private.utils", "runstring"},
                                                             {"sympy", "sympify"},
                                                             {"torch.jit", "CompilationUnit"},
                                                             {"torch._dynamo.guards", "GuardBuilder.get"},
                                                             {"lib2to3.pgen2.grammar", "Grammar.loads"}};
  const std::pair<const char*, const char*> with_file[] = {{"builtins", "open"},
                                                           {"io", "open"},
                                                           {"_io", "FileIO"},
                                                           {"io", "FileIO"},
                                                           {"pathlib", "Path.touch"},
                                                           {"numpy", "memmap"},
                                                           {"numpy", "save"},
                                                           {"torch.storage", "UntypedStorage.from_file"},
                                                           {"torch", "save"},
                                                           {"logging", "FileHandler"},
                                                           {"tempfile", "NamedTemporaryFile"},
                                                           {"sqlite3", "connect"},
                                                           {"dbm", "open"},
                                                           {"ctypes", "CDLL"},
                                                           {"urllib.request", "urlretrieve"}};
  const std::pair<const char*, const char*> with_pickle[] = {
      {"pickle", "loads"}, {"_pickle", "loads"}, {"cPickle", "loads"},
      {"dill", "loads"},   {"marshal", "loads"}, {"torch.storage", "_load_from_bytes"},
      {"joblib", "load"},  {"numpy", "load"},    {"torch", "load"}};
  for (const auto& [m, n] : with_shell)
    all.emplace_back(fmt::format("{}.{}", m, n), called(m, n, text(shell)));
  for (const auto& [m, n] : with_python)
    all.emplace_back(fmt::format("{}.{}", m, n), called(m, n, text(python)));
  for (const auto& [m, n] : with_file)
    all.emplace_back(fmt::format("{}.{}", m, n), called(m, n, text(marker) + text("w")));
  for (const auto& [m, n] : with_pickle)
    all.emplace_back(fmt::format("{}.{}", m, n), called(m, n, bytes(nested)));
  return all;
}

// Where a bare attack is refused, or read, the same attack elsewhere may be the other: what counts
// is that nothing happens. A file with a whole state dict is read, unless the opcode is one that is
// not known.
TEST(WeightsObjects, NoAttackIsExecuted) {
  const TemporaryFolder folder;
  const std::string marker = folder.path("marker");
  int read = 0;
  for (const auto& [name, attack] : attacks(marker)) {
    TorchFile f;
    const std::string a = f.tensor({1, 2}, {2});
    const std::string state = TorchFile::dict({{"a", a}});
    const auto hooks = global("torch._utils", "_rebuild_tensor_v2") + "(" + f.storage({1}) +
                       "K\x00K\x01\x85K\x01\x85\x89"s + attack + attack + "tR";
    const std::string places[] = {
        attack,
        TorchFile::dict({{"state_dict", state}, {"x", attack}}),
        TorchFile::dict({{"x", attack}, {"state_dict", state}}),
        TorchFile::dict({{"a", a}, {"x", attack}}),
        TorchFile::dict({{"a", a}, {"x", hooks}}),
        "}" + text("a") + a + "s" + attack + "b",  // in place of _metadata
        "(" + attack + "0" + TorchFile::dict({{"a", a}}),
        attack + "K\x01s" + "0" + state,
    };
    for (const std::string& root : places) {
      const std::string reason = refusal(bytes_from(f.file(root)));
      const bool beside = &root != &places[0] && &root < &places[6];
      if (beside && reason.empty()) {
        const WeightFile file = parsed(f.file(root));
        EXPECT_EQ(values_of(file, "a"), (std::vector<float>{1, 2})) << name;
        ++read;
      }
      EXPECT_FALSE(std::filesystem::exists(marker)) << name;
    }
    const std::string bare = "\x80\x02" + attack + ".";
    refusal(bytes_from(bare));
    refusal(bytes_from("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03." + bare +
                       bare + bare));
    EXPECT_FALSE(std::filesystem::exists(marker)) << name;
  }
  EXPECT_GT(read, 300);
  const auto left = std::distance(std::filesystem::directory_iterator(folder.path("")), {});
  EXPECT_EQ(left, 0);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a process was started";
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace reprise::data::testing_weights
