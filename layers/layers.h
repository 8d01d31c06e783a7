// Includes every public header of layers.
#pragma once

#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/conv_bn.h"
#include "layers/linear.h"
#include "layers/module.h"
#include "layers/network.h"
#include "layers/observer.h"
#include "layers/reprogramming/cost.h"
#include "layers/reprogramming/method.h"
#include "layers/sequential.h"
#include "layers/simple.h"
#include "layers/state_dict.h"
#include "layers/summary.h"
#include "layers/torch_sequence.h"
