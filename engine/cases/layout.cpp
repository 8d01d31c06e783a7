#include "engine/ops/layout.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

// Sets the op. It only moves values, so any rounding is a fault.
template <class F>
void moves(Case& c, F f) {
  c.bf16_roundings = 1;
  c.tolerance = 0;
  c.calls(f);
}

void reshape(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  moves(c, [to = p.shape("to")](const Inputs& in) { return ops::reshape(in[0], to); });
}

void slice(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  moves(c, [rows = p.pair("rows", 0)](const Inputs& in) { return ops::slice(in[0], rows[0], rows[1]); });
}

// d0=1x2: one zero before and two after, along dimension 0.
void pad(Case& c, const Params& p) {
  std::vector<std::pair<std::int64_t, std::int64_t>> amounts;
  for (int d = 0; d < p.shape("x").rank(); ++d) {
    const auto [before, after] = p.pair("d" + std::to_string(d), 0);
    amounts.emplace_back(before, after);
  }
  c.normal("x", p.shape("x"));
  moves(c, [amounts](const Inputs& in) { return ops::pad(in[0], amounts); });
}

// d1=0x2: every second element from 0 on, along dimension 1.
void stride_slice(Case& c, const Params& p) {
  std::vector<std::int64_t> begin, step;
  for (int d = 0; d < p.shape("x").rank(); ++d) {
    const std::string key = "d" + std::to_string(d);
    begin.push_back(p.pair(key, 0)[0]);
    step.push_back(p.pair(key, 1)[1]);
  }
  c.normal("x", p.shape("x"));
  moves(c, [begin, step](const Inputs& in) { return ops::stride_slice(in[0], begin, step); });
}

void transpose(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  moves(c, [](const Inputs& in) { return ops::transpose(in[0]); });
}

void concat(Case& c, const Params& p) {
  for (const char* part : {"a", "b", "c"})
    if (p.has(part)) c.normal(part, p.shape(part));
  moves(c, [dim = p.integer("dim", 0)](const Inputs& in) { return ops::concat(in, dim); });
}

}  // namespace

std::vector<OpCases> layout_cases() {
  return {{"reshape", {"x=2x7x5x3 to=14x15", "x=3x4 to=12", "x=1 to=1x1x1"}, reshape},
          {"slice", {"x=5x3 rows=1x4", "x=7x2x3x35 rows=0x2", "x=4x3 rows=2x2", "x=6 rows=5x6"}, slice},
          {"pad",
           {"x=3 d0=1x2", "x=2x5x4x3 d1=1x0 d2=0x2", "x=2x7x5x16 d3=8x8", "x=3x4x5x35 d0=1x1 d3=0x1"},
           pad},
          {"stride_slice",
           {"x=7 d0=1x3", "x=2x8x6x16 d1=0x2 d2=0x2", "x=2x9x7x3 d1=1x2 d2=0x3", "x=3x4x5x35 d0=2x1 d3=1x4",
            "x=2x3 d1=2x5"},
           stride_slice},
          {"transpose", {"x=1x1", "x=5x3", "x=35x67", "x=1x9", "x=300x260"}, transpose},
          {"concat",
           {"a=3 b=4 dim=0", "a=2x5x4x3 b=2x5x4x35 dim=3", "a=2x5x4x3 b=2x1x4x3 dim=1",
            "a=2x5x4x3 b=2x5x2x3 dim=-2", "a=2x3 b=1x3 c=4x3 dim=0"},
           concat}};
}

}  // namespace reprise::cases
