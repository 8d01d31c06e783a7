// Handles to a command and its options. CLI11 reads the command line; only options.cpp, audit.cpp
// and main.cpp include its header, which takes three seconds to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace reprise::clr {

// A handle to one option. Each function restricts the option and returns it. A command line that
// violates a restriction is wrong usage: clr says why and exits with status 2.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required(bool yes = true) const;
  Option comma_separated() const;
  Option range(std::int64_t least, std::int64_t most) const;
  Option one_of(const std::vector<std::string>& words) const;
  // `problem` returns what is wrong with a value, or nothing.
  Option check(const std::function<std::string(const std::string&)>& problem) const;
  Option needs(Option other) const;
  Option excludes(Option other) const;
  // Lets --help print the variable's present value as the default.
  Option shows_default() const;
  Option group(const std::string& heading) const;

 private:
  CLI::Option* option_;
};

// A handle to the program or to one of its subcommands; the program outlives all handles.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}
  CLI::App* app() const { return app_; }
  Command add_subcommand(const std::string& name, const std::string& what) const;
  // Adds an option that is written to `value`: text, a number, or a list of either (the types that
  // options.cpp instantiates). `value` must live until the command line has been read.
  template <class T>
  Option add_option(const std::string& names, T& value, const std::string& help) const;
  // Adds an option that takes names separated by commas. `\,` is a comma of a name, `\\` a backslash.
  Option add_names(const std::string& option, std::vector<std::string>& names, const std::string& help) const;
  Option add_flag(const std::string& names, bool& value, const std::string& help) const;
  // Sets what runs when the command line names this command.
  void callback(std::function<void()> run) const;

 private:
  CLI::App* app_;
};

}  // namespace reprise::clr
