#include "engine/ops/layout.h"

#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

const OpCases reshape("reshape", {"x=2x7x5x3 to=14x15", "x=3x4 to=12", "x=1 to=1x1x1"},
                      [](Case& c, const Params& p) {
                        const Shape to = p.shape("to");
                        c.normal("x", p.shape("x"));
                        c.bf16_roundings = 1;
                        c.run = [to](const std::vector<Tensor>& in) {
                          return std::vector{ops::reshape(in[0], to)};
                        };
                        c.tolerance = 0;
                      });

const OpCases slice("slice", {"x=5x3 rows=1x4", "x=7x2x3x35 rows=0x2", "x=4x3 rows=2x2", "x=6 rows=5x6"},
                    [](Case& c, const Params& p) {
                      const auto rows = p.pair("rows", 0);
                      c.normal("x", p.shape("x"));
                      c.bf16_roundings = 1;
                      c.run = [rows](const std::vector<Tensor>& in) {
                        return std::vector{ops::slice(in[0], rows[0], rows[1])};
                      };
                      c.tolerance = 0;
                    });

// d0=1x2: one zero before, two after, along dimension 0.
const OpCases pad("pad",
                  {"x=3 d0=1x2", "x=2x5x4x3 d1=1x0 d2=0x2", "x=2x7x5x16 d3=8x8", "x=3x4x5x35 d0=1x1 d3=0x1"},
                  [](Case& c, const Params& p) {
                    const Shape x = p.shape("x");
                    std::vector<std::pair<std::int64_t, std::int64_t>> amounts;
                    for (int d = 0; d < x.rank(); ++d) {
                      const auto pair = p.pair("d" + std::to_string(d), 0);
                      amounts.emplace_back(pair[0], pair[1]);
                    }
                    c.normal("x", x);
                    c.bf16_roundings = 1;
                    c.run = [amounts](const std::vector<Tensor>& in) {
                      return std::vector{ops::pad(in[0], amounts)};
                    };
                    c.tolerance = 0;
                  });

// d1=0x2: from 0 in steps of 2, along dimension 1.
const OpCases stride_slice("stride_slice",
                           {"x=7 d0=1x3", "x=2x8x6x16 d1=0x2 d2=0x2", "x=2x9x7x3 d1=1x2 d2=0x3",
                            "x=3x4x5x35 d0=2x1 d3=1x4", "x=2x3 d1=2x5"},
                           [](Case& c, const Params& p) {
                             const Shape x = p.shape("x");
                             std::vector<std::int64_t> begin, step;
                             for (int d = 0; d < x.rank(); ++d) {
                               const std::string key = "d" + std::to_string(d);
                               begin.push_back(p.has(key) ? p.pair(key, 0)[0] : 0);
                               step.push_back(p.has(key) ? p.pair(key, 0)[1] : 1);
                             }
                             c.normal("x", x);
                             c.bf16_roundings = 1;
                             c.run = [begin, step](const std::vector<Tensor>& in) {
                               return std::vector{ops::stride_slice(in[0], begin, step)};
                             };
                             c.tolerance = 0;
                           });

const OpCases concat("concat",
                     {"a=3 b=4 dim=0", "a=2x5x4x3 b=2x5x4x35 dim=3", "a=2x5x4x3 b=2x1x4x3 dim=1",
                      "a=2x5x4x3 b=2x5x2x3 dim=-2", "a=2x3 b=1x3 c=4x3 dim=0"},
                     [](Case& c, const Params& p) {
                       const int dim = p.integer("dim", 0);
                       c.normal("a", p.shape("a"));
                       c.normal("b", p.shape("b"));
                       if (p.has("c")) c.normal("c", p.shape("c"));
                       c.bf16_roundings = 1;
                       c.run = [dim](const std::vector<Tensor>& in) {
                         return std::vector{ops::concat(in, dim)};
                       };
                       c.tolerance = 0;
                     });

}  // namespace
}  // namespace reprise::testing
