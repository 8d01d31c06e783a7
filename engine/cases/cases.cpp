#include "tests/ops/cases.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/core/check.h"

namespace reprise::testing {
namespace {

std::vector<OpCases*>& registry() {
  static std::vector<OpCases*> ops;
  return ops;
}

template <class T>
T parsed(std::string_view key, std::string_view text) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  REPRISE_CHECK(ec == std::errc{} && end == text.data() + text.size(), "case: {}={} is not a number", key,
                text);
  return value;
}

Tensor drawn(const Shape& shape, const std::function<double()>& draw) {
  Tensor t = empty(shape, DType::f64, ref_device);
  double* values = t.mutable_data<double>();
  for (std::int64_t i = 0; i < t.numel(); ++i) values[i] = static_cast<double>(static_cast<float>(draw()));
  return t;
}

}  // namespace

Params::Params(std::string text) : text_(std::move(text)) {
  std::istringstream words(text_);
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    REPRISE_CHECK(equals != std::string::npos, "case: expected key=value, got '{}'", word);
    entries_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
}

const std::string* Params::find(std::string_view key) const {
  used_.emplace(key);
  for (const auto& [k, v] : entries_)
    if (k == key) return &v;
  return nullptr;
}

bool Params::has(std::string_view key) const {
  return find(key) != nullptr;
}

Shape Params::shape(std::string_view key) const {
  const std::string* text = find(key);
  REPRISE_CHECK(text != nullptr, "case: {}= is missing in '{}'", key, text_);
  std::vector<std::int64_t> dims;
  std::istringstream parts(*text);
  for (std::string part; std::getline(parts, part, 'x');) dims.push_back(parsed<std::int64_t>(key, part));
  return Shape(dims);
}

std::array<int, 2> Params::pair(std::string_view key, int standard) const {
  const std::string* text = find(key);
  if (text == nullptr) return {standard, standard};
  const auto cross = text->find('x');
  if (cross == std::string::npos) return {parsed<int>(key, *text), parsed<int>(key, *text)};
  return {parsed<int>(key, std::string_view(*text).substr(0, cross)),
          parsed<int>(key, std::string_view(*text).substr(cross + 1))};
}

int Params::integer(std::string_view key, int standard) const {
  const std::string* text = find(key);
  return text == nullptr ? standard : parsed<int>(key, *text);
}

double Params::number(std::string_view key, double standard) const {
  const std::string* text = find(key);
  return text == nullptr ? standard : parsed<double>(key, *text);
}

std::string Params::word(std::string_view key, std::string_view standard) const {
  const std::string* text = find(key);
  return text == nullptr ? std::string(standard) : *text;
}

void Params::check_all_used() const {
  for (const auto& [key, value] : entries_)
    REPRISE_CHECK(used_.contains(key), "case: this op has no parameter '{}'", key);
}

Case Case::rounded_to_bf16() const {
  Case c = *this;
  c.on_bf16_values = true;
  for (Input& in : c.inputs)
    if (is_floating(in.value.dtype())) in.value = in.value.to(DType::bf16).to(in.value.dtype());
  return c;
}

RandomStream Case::stream() const {
  return {1, name, inputs.size()};
}

Input& Case::normal(const std::string& input, const Shape& shape) {
  RandomStream random = stream();
  return values(input, drawn(shape, [&] {
                  return integers ? static_cast<double>(random.below(7)) - 3 : random.normal();
                }));
}

Input& Case::uniform(const std::string& input, const Shape& shape, double low, double high) {
  RandomStream random = stream();
  return values(input, drawn(shape, [&] { return random.uniform(low, high); }));
}

Input& Case::distinct(const std::string& input, const Shape& shape) {
  const auto order = stream().permutation(shape.numel());
  std::size_t next = 0;
  const double half = static_cast<double>(shape.numel()) / 2;
  return values(input, drawn(shape, [&] { return static_cast<double>(order[next++] + 1) / half - 1; }));
}

Input& Case::labels(const std::string& input, std::int64_t n, std::int64_t classes) {
  RandomStream random = stream();
  std::vector<std::int64_t> v;
  for (std::int64_t i = 0; i < n; ++i)
    v.push_back(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(classes))));
  return values(input, tensor({n}, std::span<const std::int64_t>(v), ref_device)).constant();
}

Input& Case::bytes(const std::string& input, const Shape& shape) {
  RandomStream random = stream();
  std::vector<std::uint8_t> v;
  for (std::int64_t i = 0; i < shape.numel(); ++i) v.push_back(static_cast<std::uint8_t>(random.below(256)));
  return values(input, tensor(shape, std::span<const std::uint8_t>(v), ref_device)).constant();
}

Input& Case::values(const std::string& input, const Tensor& value) {
  inputs.push_back({input, value, true});
  return inputs.back();
}

OpCases::OpCases(std::string op_, std::vector<std::string> cases_, Build build_)
    : op(std::move(op_)), cases(std::move(cases_)), build(build_) {
  registry().push_back(this);
}

Case OpCases::make(const std::string& parameters) const {
  Case c(op + " " + parameters);
  const Params p(parameters);
  c.integers = p.word("fill", "random") == "int";
  build(c, p);
  p.check_all_used();
  return c;
}

std::vector<const OpCases*> all_ops() {
  std::vector<const OpCases*> ops(registry().begin(), registry().end());
  std::sort(ops.begin(), ops.end(), [](const OpCases* a, const OpCases* b) { return a->op < b->op; });
  return ops;
}

std::vector<std::string> also_on_integers(std::vector<std::string> cases) {
  const std::size_t n = cases.size();
  for (std::size_t i = 0; i < n; ++i) cases.push_back(cases[i] + " fill=int");
  return cases;
}

}  // namespace reprise::testing
