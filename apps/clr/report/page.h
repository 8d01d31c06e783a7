// The report: one HTML page about one or several runs.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/report/run_data.h"

namespace reprise::clr {

// Self-contained. The same runs give the same bytes, as long as the images lie where they were evaluated.
std::string report_page(const std::vector<ReportedRun>& runs);

}  // namespace reprise::clr
