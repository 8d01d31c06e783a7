// The header that every command and every part of the audit includes.
// Builds with REPRISE_PCH compile it once for all of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/commands/common.h"
#include "apps/clr/commands/progress.h"
#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_file.h"
#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "layers/network.h"
#include "layers/reprogramming/method.h"
