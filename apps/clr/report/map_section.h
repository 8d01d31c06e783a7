// The section on task inference, from what `clr eval --map` left in the run folders.
#pragma once

#include <vector>

#include "apps/clr/report/html.h"
#include "apps/clr/report/run_data.h"

namespace reprise::clr {

// Writes nothing for a run that was not evaluated with its map.
void write_map_section(Html& html, const std::vector<ReportedRun>& runs);

}  // namespace reprise::clr
