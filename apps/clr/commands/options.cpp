#include "apps/clr/commands/options.h"

#include <CLI/CLI.hpp>

namespace reprise::clr {

Option Option::required(bool yes) const {
  return Option(option_->required(yes));
}
Option Option::comma_separated() const {
  return Option(option_->delimiter(','));
}
Option Option::range(std::int64_t least, std::int64_t most) const {
  return Option(option_->check(CLI::Range(least, most)));
}
Option Option::one_of(const std::vector<std::string>& words) const {
  return Option(option_->check(CLI::IsMember(words)));
}
Option Option::check(const std::function<std::string(const std::string&)>& problem) const {
  return Option(option_->check(problem));
}
Option Option::needs(Option other) const {
  return Option(option_->needs(other.option_));
}
Option Option::excludes(Option other) const {
  return Option(option_->excludes(other.option_));
}
Option Option::shows_default() const {
  return Option(option_->capture_default_str());
}
Option Option::group(const std::string& heading) const {
  return Option(option_->group(heading));
}

Command Command::add_subcommand(const std::string& name, const std::string& what) const {
  return Command(app_->add_subcommand(name, what));
}

template <class T>
Option Command::add_option(const std::string& names, T& value, const std::string& help) const {
  return Option(app_->add_option(names, value, help));
}
template Option Command::add_option(const std::string&, std::string&, const std::string&) const;
template Option Command::add_option(const std::string&, bool&, const std::string&) const;
template Option Command::add_option(const std::string&, int&, const std::string&) const;
template Option Command::add_option(const std::string&, std::int64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&) const;
template Option Command::add_option(const std::string&, double&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::add_option(const std::string&, std::vector<int>&, const std::string&) const;

Option Command::add_names(const std::string& option, std::vector<std::string>& names,
                          const std::string& help) const {
  return Option(app_->add_option_function<std::vector<std::string>>(
      option,
      [&names](const std::vector<std::string>& words) {
        for (const std::string& word : words) {
          names.emplace_back();
          for (std::size_t i = 0; i < word.size(); ++i) {
            const bool is_escape =
                word[i] == '\\' && i + 1 < word.size() && (word[i + 1] == ',' || word[i + 1] == '\\');
            if (word[i] == ',')
              names.emplace_back();
            else
              names.back() += word[is_escape ? ++i : i];
          }
        }
      },
      help));
}

Option Command::add_flag(const std::string& names, bool& value, const std::string& help) const {
  return Option(app_->add_flag(names, value, help));
}

void Command::callback(std::function<void()> run) const {
  app_->callback(std::move(run));
}

}  // namespace reprise::clr
