// All functions of ops/ except optimizer_steps.h. Each throws Error if its operands do not fit, and
// shows their shapes, layouts, dtypes and devices. Results lie on the operands' device.
#pragma once

#include "engine/ops/arithmetic.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/conv_block.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/images.h"
#include "engine/ops/layout.h"
#include "engine/ops/linear.h"
#include "engine/ops/pool.h"
#include "engine/ops/reduce.h"
#include "engine/ops/softmax.h"
#include "engine/ops/unary.h"
