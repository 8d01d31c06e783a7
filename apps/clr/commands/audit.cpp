// clr audit: examines the numbers of kernels, gradients,
// layers and runs. Its parts are in apps/clr/audit.
#include <CLI/CLI.hpp>

#include "apps/clr/audit/parts.h"
#include "apps/clr/commands/commands.h"

namespace reprise::clr {

void add_audit(Command app, Common& common) {
  CLI::App& audit =
      *app.app()->add_subcommand("audit", "examine the numbers: kernels, gradients, layers, runs");
  audit.require_subcommand(0, 1);
  audit.callback([&audit] {
    if (!audit.get_subcommands().empty()) return;
    std::string parts;
    for (const CLI::App* part : audit.get_subcommands({}))
      parts += (parts.empty() ? "" : ", ") + part->get_name();
    throw UsageError("audit: expected a part, one of " + parts);
  });
  audit.footer(
      "Each part first prints on standard error what it will cost, then a table or, with --json, one "
      "object.\n"
      "Exit status 1: the part found something. `clr audit PART --help` lists a part's options.");
  for (const auto add : {add_audit_verify, add_audit_repeat, add_audit_layers, add_audit_nan, add_audit_drift,
                         add_audit_ops, add_audit_grad, add_audit_margin})
    add(Command(&audit), common);
}

}  // namespace reprise::clr
