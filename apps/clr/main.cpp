// clr: learns any number of image classification tasks on one immutable backbone.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

#include "apps/clr/commands/commands.h"
#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/keep_freed_memory.h"
#include "data/image/image.h"
#include "data/sets/find_tasks.h"
#include "engine/base/env.h"

namespace reprise::clr {
namespace {

constexpr int exit_failed = 1, exit_usage = 2;

std::string version_text() {
  const Invocation here = invocation_on(cpu_device, DType::f32);
  std::string backends = "ref, cpu";
#if defined(REPRISE_WITH_CUDA)
  backends += ", cuda";
#endif
  return fmt::format(
      "clr {}\ncompiler          {} ({})\nimage decoders    {}\ndatabases         {}\ninstruction set   {} "
      "(of portable, avx2, "
      "avx512)\n"
      "backends          {}",
      here.version, here.compiler, here.flags, here.decoders,
      data::sqlite_version().empty() ? "none (built without SQLite)" : data::sqlite_version(),
      here.instruction_set, backends);
}

void print_env() {
  std::string text;
  for (const EnvVariable& v : env_table()) {
    const std::string value = env_string(v.name);
    text += fmt::format("{} = {}\n    {} (default: {})\n", v.name, value.empty() ? "(empty)" : value,
                        v.meaning, v.standard.empty() ? "(empty)" : v.standard);
  }
  print(text);
}

int run(int argc, char** argv) {
  CLI::App app("clr learns image classification tasks on a pretrained network that never changes.", "clr");
  Common common;
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text,
                       "print version, compiler, image decoders, instruction set, backends");
  app.add_flag_callback(
      "--env",
      [] {
        print_env();
        throw CLI::Success();
      },
      "print the environment variables that clr reads");
  for (const auto add : {add_train, add_eval, add_map, add_predict, add_forward, add_pretrain, add_tasks,
                         add_info, add_convert, add_report, add_reproduce, add_audit, add_demo_data})
    add(Command(&app), common);
  app.footer("`clr COMMAND --help` lists a command's options.");
  if (const std::string unknown = unknown_env_variables(); !unknown.empty())
    log_warning(fmt::format("unknown environment variable {}; `clr --env` lists the known ones", unknown));
  if (argc > 1 && argv[1][0] != '-') {
    std::string known;
    bool found = false;
    for (const CLI::App* c : app.get_subcommands({})) {
      known += (known.empty() ? "" : ", ") + c->get_name();
      found |= c->get_name() == argv[1];
    }
    if (!found) throw UsageError(fmt::format("unknown command '{}'; known are {}", argv[1], known));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {
      app.exit(e);  // help, version
      return 0;
    }
    log_line(fmt::format(
        "clr: {}\n`clr --help` lists the commands, `clr COMMAND --help` a command's options.", e.what()));
    return exit_usage;
  } catch (const BadValue& e) {
    // The value may have come from a file: the field gets dashes
    // only if the called command has such an option.
    const CLI::App* called = &app;
    while (!called->get_subcommands().empty()) called = called->get_subcommands().front();
    const bool is_option = called->get_option_no_throw("--" + e.field) != nullptr;
    throw UsageError((is_option ? "--" : "") + std::string(e.what()));
  }
  return common.exit_status;
}

// Adds the program's options to a remedy that the library names.
std::string with_options(std::string message) {
  constexpr std::pair<std::string_view, std::string_view> options[] = {
      {"a smaller batch or smaller images", "--batch, --size"}, {"the device cpu", "--device cpu"}};
  for (const auto& [remedy, option] : options)
    if (message.find(remedy) != std::string::npos) message += fmt::format("\n  option  {}", option);
  return message;
}

// Called if an exception cannot be caught, as from a
// destructor. Prints a message and ends with status 1.
[[noreturn]] void end_at_once() {
  std::string_view text = "clr: internal error, please report it: an exception where none may be\n";
  try {
    if (const auto e = std::current_exception()) std::rethrow_exception(e);
  } catch (const std::bad_alloc&) {
    text = "clr: out of memory\n";
  } catch (...) {
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::_Exit(exit_failed);
}

}  // namespace
}  // namespace reprise::clr

int main(int argc, char** argv) {
  using namespace reprise;
  std::set_terminate(clr::end_at_once);
  keep_freed_memory();
  try {
    return clr::run(argc, argv);
  } catch (const clr::Interrupted& e) {
    log_line(e.what());
    return clr::status_of_interruption();
  } catch (const clr::UsageError& e) {
    log_line(std::string("clr: ") + e.what());
    return clr::exit_usage;
  } catch (const Error& e) {
    log_line("clr: " + clr::with_options(e.what()));
  } catch (const InternalError& e) {
    log_line(std::string("clr: internal error, please report it: ") + e.what());
  } catch (const std::bad_alloc&) {
    log_line("clr: out of memory");
  } catch (const std::exception& e) {
    log_line(std::string("clr: unexpected: ") + e.what());
  }
  return clr::exit_failed;
}
