#include "engine/cases/cases.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <sstream>

#include "engine/base/check.h"

namespace reprise::cases {

// Each function is defined in the file of its name.
std::vector<OpCases> arithmetic_cases(), batch_norm_cases(), conv2d_cases(), conv_block_cases(),
    images_cases(), layout_cases(), linear_cases(), optimizer_steps_cases(), pool_cases(), reduce_cases(),
    softmax_cases(), unary_cases();

const std::vector<OpCases>& all() {
  static const std::vector<OpCases> ops = [] {
    std::vector<OpCases> list;
    for (const auto cases_of :
         {arithmetic_cases, batch_norm_cases, conv2d_cases, conv_block_cases, images_cases, layout_cases,
          linear_cases, optimizer_steps_cases, pool_cases, reduce_cases, softmax_cases, unary_cases})
      for (OpCases& op : cases_of()) list.push_back(std::move(op));
    std::sort(list.begin(), list.end(), [](const OpCases& a, const OpCases& b) { return a.op < b.op; });
    return list;
  }();
  return ops;
}

namespace {

template <class T>
T parsed(std::string_view key, std::string_view text) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  REPRISE_CHECK(ec == std::errc{} && end == text.data() + text.size(), "case: {}={} is not a number", key,
                text);
  return value;
}

template <class T, class F>
Tensor sampled(const Shape& shape, F f) {
  Tensor t = empty(shape, dtype_of<T>, ref_device);
  for (T& value : std::span(t.mutable_data<T>(), static_cast<std::size_t>(t.numel())))
    value = static_cast<T>(f());
  return t;
}
double as_float(double v) {
  return static_cast<double>(static_cast<float>(v));
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
  const std::string_view both = *text;
  const auto cross = both.find('x');
  return {parsed<int>(key, both.substr(0, cross)),
          parsed<int>(key, both.substr(cross == both.npos ? 0 : cross + 1))};
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

Input& Input::change(const std::function<double(double)>& f) {
  const double* old = value.data<double>();
  value = sampled<double>(value.shape(), [&] { return as_float(f(*old++)); });
  return *this;
}

RandomStream Case::stream() const {
  return {1, name, inputs.size()};
}

Input& Case::normal(const std::string& input, const Shape& shape) {
  RandomStream random = stream();
  return values(input, sampled<double>(shape, [&] {
                  return integers ? static_cast<double>(random.below(7)) - 3 : as_float(random.normal());
                }));
}

Input& Case::uniform(const std::string& input, const Shape& shape, double low, double high) {
  RandomStream random = stream();
  return values(input, sampled<double>(shape, [&] { return as_float(random.uniform(low, high)); }));
}

Input& Case::distinct(const std::string& input, const Shape& shape) {
  const auto order = stream().permutation(shape.numel());
  std::size_t next = 0;
  const double half = static_cast<double>(shape.numel()) / 2;
  return values(input, sampled<double>(shape, [&] {
                  return as_float(static_cast<double>(order[next++] + 1) / half - 1);
                }));
}

Input& Case::labels(const std::string& input, std::int64_t n, std::int64_t classes) {
  RandomStream random = stream();
  const auto below = static_cast<std::uint64_t>(classes);
  return values(input, sampled<std::int64_t>({n}, [&] { return random.below(below); })).constant();
}

Input& Case::bytes(const std::string& input, const Shape& shape) {
  RandomStream random = stream();
  return values(input, sampled<std::uint8_t>(shape, [&] { return random.below(256); })).constant();
}

Input& Case::values(const std::string& input, const Tensor& value) {
  inputs.push_back({input, value, true});
  return inputs.back();
}

NormKind norm_kind(const std::string& name) {
  REPRISE_CHECK(name == "l1" || name == "l2" || name == "l12", "case: {} is not a norm: l1, l2, l12", name);
  return name == "l1" ? NormKind::l1 : name == "l2" ? NormKind::l2 : NormKind::l12;
}

Case OpCases::make(const std::string& parameters) const {
  Case c(op + " " + parameters);
  const Params p(parameters);
  c.integers = p.word("fill", "random") == "int";
  build(c, p);
  p.check_all_used();
  return c;
}

std::vector<std::string> also_on_integers(std::vector<std::string> cases) {
  const std::size_t n = cases.size();
  for (std::size_t i = 0; i < n; ++i) cases.push_back(cases[i] + " fill=int");
  return cases;
}

}  // namespace reprise::cases
