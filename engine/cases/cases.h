// A case: an op with its inputs, made from a parameter string that is also the case's name.
// Every op has one list of cases.
#pragma once

#include <array>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::cases {

// Parameters, read by key: "x=2x9x7x3 stride=2x1 fill=int". Throws Error for a malformed value, a
// missing shape, or (check_all_used) a key that nobody asked for.
class Params {
 public:
  explicit Params(std::string text);
  bool has(std::string_view key) const { return find(key) != nullptr; }
  Shape shape(std::string_view key) const;                            // required
  std::array<int, 2> pair(std::string_view key, int standard) const;  // "2x1", or "2" for both
  int integer(std::string_view key, int standard) const;
  double number(std::string_view key, double standard) const;
  std::string word(std::string_view key, std::string_view standard) const;
  void check_all_used() const;

 private:
  const std::string* find(std::string_view key) const;
  std::string text_;
  std::vector<std::pair<std::string, std::string>> entries_;
  mutable std::set<std::string, std::less<>> used_;
};

struct Input {
  std::string name;
  Tensor value;            // f64 on ref, with values that f32 holds exactly; or i64, u8
  bool gradient = true;    // whether its gradient is compared, and checked by differences
  bool parameter = false;  // whether it is f32 if the images are bf16
  Input& constant() {
    gradient = false;
    return *this;
  }
  Input& as_parameter() {
    parameter = true;
    return *this;
  }
  // Replaces each value by f(value), rounded to float.
  Input& change(const std::function<double(double)>& f);
};
using Inputs = std::vector<Tensor>;

// A case. The op's file fills it in.
struct Case {
  explicit Case(std::string name_) : name(std::move(name_)) {}

  // Each adds an input and returns a reference, valid until the next input is added.
  // Values come from a random stream that depends on the case's name and the input's number.
  // With fill=int, normal() samples small whole numbers, and results must match exactly.
  Input& normal(const std::string& input, const Shape& shape);
  Input& uniform(const std::string& input, const Shape& shape, double low, double high);
  Input& distinct(const std::string& input, const Shape& shape);  // all different, in (-1, 1]
  Input& labels(const std::string& input, std::int64_t n, std::int64_t classes);
  Input& bytes(const std::string& input, const Shape& shape);
  Input& values(const std::string& input, const Tensor& value);
  // Sets `run` to an op with one result.
  template <class F>
  void calls(F op) {
    run = [op](const Inputs& in) { return std::vector<Tensor>{op(in)}; };
  }

  std::string name;
  bool integers = false;  // fill=int
  std::vector<Input> inputs;
  // Runs the op. Backward starts at the first result; the others are only compared.
  std::function<std::vector<Tensor>(const Inputs& inputs)> run;
  bool by_differences = true;   // check gradients by differences too, not only against ref
  double tolerance = 1e-6;      // allowed error in f32, relative to the tensor's largest value
  double terms = 0;             // or, if larger, to this: the size of terms that cancel in a gradient
  double flops = 0;             // operations of one forward, for the perf mode
  int bf16_roundings = 0;       // how many bf16 roundings follow one another; 0: no bf16 form
  bool on_bf16_values = false;  // whether this is rounded_to_bf16()
  // Returns the same case with all floating inputs,
  // and the gradient at which backward starts, rounded to bf16.
  Case rounded_to_bf16() const;

 private:
  RandomStream stream() const;
};

// Returns "l1", "l2" or "l12" as a norm. Throws Error for any other word.
NormKind norm_kind(const std::string& name);

// The case list of an op.
struct OpCases {
  using Build = void (*)(Case&, const Params&);
  OpCases(std::string op_, std::vector<std::string> cases_, Build build_)
      : op(std::move(op_)), cases(std::move(cases_)), build(build_) {}
  std::string op;
  std::vector<std::string> cases;
  Build build;

  Case make(const std::string& parameters) const;
};
const std::vector<OpCases>& all();  // the lists of all ops, sorted by name

// Returns the list, followed by each case again on small whole numbers.
std::vector<std::string> also_on_integers(std::vector<std::string> cases);

}  // namespace reprise::cases
