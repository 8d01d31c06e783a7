// Packed task files, for prediction only: batch norm is folded, and numbers may be rounded.
//
// In evaluation mode a batch norm is a scale and a bias per channel:
//   scale = gamma / sqrt(var + eps),   bias = beta - mean * scale
// If a stored filter comes just before the batch norm, each channel's filter is multiplied by the
// scale, which is then not stored.
//
//   fold   f32 numbers
//   f16    the same numbers, rounded to f16
//   int8   rows of filters and of the head as integers from -127 to 127, with one f16 step a row;
//          the centres of depthwise filters, which are near 1, and all other numbers as in f16
//
// A packed file has the tensor `values` and, in int8, `integers` (u8, each plus 128). Both hold the
// numbers in the order of the tensors' names. Architecture, method and classes tell the names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/clr/learn/task_file.h"

namespace reprise::clr {

inline const std::vector<std::string> pack_forms = {"fold", "f16", "int8"};

// Returns the tensors that a packed file of this form stores. Throws Error if the task's tensors do
// not fit its method.
std::vector<data::NamedTensor> pack_tensors(const TaskFile& task, const std::string& form);
// Returns the tensors of the task's network from those of a packed file, in f32, with batch norms
// whose statistics do nothing. Throws Error if counts or dtypes are not those of the task.
std::vector<data::NamedTensor> unpack_tensors(const TaskFile& task,
                                              const std::vector<data::NamedTensor>& stored);

// Returns the bytes of the tensors by form.
std::map<std::string, std::int64_t> packed_bytes(const std::string& arch, const std::string& method,
                                                 int classes);

}  // namespace reprise::clr
