#include "apps/clr/learn/network_weights.h"

#include <algorithm>
#include <functional>
#include <set>

#include "data/weights/weight_file.h"
#include "engine/base/check.h"
#include "layers/network.h"

namespace reprise::clr {
namespace {

constexpr std::size_t listed_candidates = 10;
// Every known architecture has a tensor of this name: what stands before it may be a prefix. More
// prefixes than so many are not tried.
constexpr std::string_view stem = "conv1.weight";
constexpr std::size_t most_prefixes = 256;

// What PyTorch's wrappers add to the names of a module that they wrap, at any depth: torch.compile,
// DataParallel, checkpointing and FSDP.
constexpr std::string_view wrappers[] = {"._orig_mod.", ".module.", "._checkpoint_wrapped_module.",
                                         "._fsdp_wrapped_module."};

std::string unwrapped(std::string name) {
  for (const std::string_view w : wrappers)
    for (std::size_t at; (at = name.find(w)) != std::string::npos;) name.erase(at, w.size() - 1);
  return name;
}

// One way to read the file.
struct Fit {
  std::size_t candidate;
  std::string prefix;
  ArchitectureMatch network;
};

std::vector<data::NamedTensor> without_prefix(const data::StateDict& state, const std::string& prefix) {
  std::vector<data::NamedTensor> tensors;
  std::set<std::string> names;
  for (const auto& [name, tensor] : state.tensors) {
    if (!name.starts_with(prefix)) continue;
    tensors.push_back({name.substr(prefix.size()), tensor});
    names.insert(tensors.back().name);
  }
  // A name that is there without wrappers keeps its tensor.
  for (auto& t : tensors)
    if (std::string plain = unwrapped(t.name); names.insert(plain).second) t.name = std::move(plain);
  return tensors;
}

std::set<std::string> prefixes_of(const data::StateDict& state) {
  std::set<std::string> prefixes{""};
  const auto look_at = [&](const std::string& name) {
    const std::size_t at = name.rfind(stem.substr(0, stem.find('.') + 1));
    if (at == std::string::npos || at == 0 || prefixes.size() >= most_prefixes) return;
    if (name[at - 1] == '.' && unwrapped(name.substr(at)) == stem) prefixes.insert(name.substr(0, at));
  };
  for (const auto& t : state.tensors) look_at(t.name);
  for (const auto& [name, why] : state.unread) look_at(name);
  return prefixes;
}

// The prefix as it was given, or with a dot, whichever any name begins with.
std::string checked_prefix(const data::StateDict& state, const std::string& given) {
  for (const std::string& prefix : {given.ends_with('.') || given.empty() ? given : given + ".", given})
    for (const auto& t : state.tensors)
      if (t.name.starts_with(prefix)) return prefix;
  return given;
}

std::vector<Fit> fits_of(const std::vector<data::StateDict>& candidates,
                         const std::vector<std::size_t>& considered, const WeightSource& source,
                         const std::string& arch) {
  std::vector<Fit> fits;
  for (const std::size_t i : considered) {
    const auto prefixes =
        source.prefix ? std::set{checked_prefix(candidates[i], *source.prefix)} : prefixes_of(candidates[i]);
    for (const std::string& prefix : prefixes) {
      const auto tensors = without_prefix(candidates[i], prefix);
      auto match = recognise(tensors, arch);
      // A block of a larger network has some of a smaller one's names: a prefix that nobody gave
      // must fit.
      if (match && (prefix.empty() || source.prefix || fits_mostly(match->report)))
        fits.push_back({i, prefix, std::move(*match)});
    }
  }
  return fits;
}

// Those that `--section KEY` means: the one at KEY, else those at or below a key of that name.
std::vector<std::size_t> considered_of(const std::vector<data::StateDict>& candidates,
                                       const WeightSource& source) {
  std::vector<std::size_t> all, exact, within;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    all.push_back(i);
    if (!source.section) continue;
    if (candidates[i].section == *source.section) exact.push_back(i);
    if (!source.section->empty() &&
        ("." + candidates[i].section + ".").find("." + *source.section + ".") != std::string::npos)
      within.push_back(i);
  }
  if (!source.section) return all;
  REPRISE_CHECK(!exact.empty() || !within.empty(),
                "{}: there is no state dict under --section '{}'; the file holds{}", source.path,
                *source.section, list_candidates(candidates));
  return exact.empty() ? within : exact;
}

// The best fit; none where nothing fits. Of several that are equally good and the same network, the
// first.
const Fit* best_of(const std::vector<Fit>& fits, const std::vector<data::StateDict>& candidates,
                   const WeightSource& source) {
  const auto identity = [&](const Fit& f) {
    return identity_of(without_prefix(candidates[f.candidate], f.prefix), f.network.arch);
  };
  std::vector<const Fit*> best;
  for (const Fit& f : fits) {
    if (!best.empty() && f.network.body < best[0]->network.body) continue;
    if (!best.empty() && f.network.body > best[0]->network.body) best.clear();
    best.push_back(&f);
  }
  if (best.size() < 2 && source.identity.empty()) return best.empty() ? nullptr : best[0];
  for (const Fit& f : fits)
    if (!source.identity.empty() && identity(f) == source.identity) return &f;
  if (best.empty() || best[0]->network.body == 0) return nullptr;
  std::string listed;
  bool same = true;
  for (const Fit* f : best) {
    same = same && identity(*f) == identity(*best[0]);
    listed +=
        fmt::format("\n  --section '{}' --prefix '{}': {}, identity {}", candidates[f->candidate].section,
                    f->prefix, f->network.arch, identity(*f).substr(0, 16));
  }
  REPRISE_CHECK(same, "{}: {} networks fit equally well; choose one with --section or --prefix{}",
                source.path, best.size(), listed);
  return best[0];
}

}  // namespace

std::string list_candidates(const std::vector<data::StateDict>& candidates) {
  std::vector<const data::StateDict*> largest;
  for (const data::StateDict& c : candidates) largest.push_back(&c);
  std::ranges::stable_sort(largest, std::greater{}, [](const auto* c) { return c->tensors.size(); });
  std::string text;
  for (std::size_t i = 0; i < std::min(largest.size(), listed_candidates); ++i) {
    const auto& [section, tensors, unread, converted] = *largest[i];
    text += fmt::format("\n  --section '{}': {} tensors", section, tensors.size());
    if (!tensors.empty()) text += fmt::format(", the first is {}", tensors[0].name);
  }
  if (largest.size() > listed_candidates)
    text += fmt::format("\n  and {} more", largest.size() - listed_candidates);
  return text;
}

std::string NetworkWeights::place() const {
  std::string text;
  if (!file.section.empty()) text = fmt::format("section '{}'", file.section);
  if (!prefix.empty()) text += fmt::format("{}prefix '{}'", text.empty() ? "" : ", ", prefix);
  for (const std::string_view w : wrappers)
    if (std::ranges::any_of(file.tensors,
                            [&](const auto& t) { return t.name.find(w, prefix.size()) < t.name.size(); }))
      text += fmt::format("{}without '{}' in names", text.empty() ? "" : ", ", w.substr(1));
  return text;
}

void NetworkWeights::check_chosen() const {
  REPRISE_CHECK(chosen,
                "{}: it holds {} state dicts, and none fits a network that clr knows; choose one with "
                "--section{}",
                file.path, file.candidates.size(), list_candidates(file.candidates));
}

NetworkWeights read_network_weights(const WeightSource& source, const std::string& arch) {
  NetworkWeights w;
  const auto choose = [&](const std::vector<data::StateDict>& candidates, const std::string& wanted) {
    const auto considered = considered_of(candidates, source);
    const auto fits = fits_of(candidates, considered, source, wanted);
    const Fit* best = best_of(fits, candidates, source);
    if (best == nullptr && considered.size() > 1) return candidates.size();
    const std::size_t chosen = best != nullptr ? best->candidate : considered[0];
    w.prefix = best != nullptr ? best->prefix
               : source.prefix ? checked_prefix(candidates[chosen], *source.prefix)
                               : "";
    if (best != nullptr) w.network = best->network;
    w.tensors = without_prefix(candidates[chosen], w.prefix);
    REPRISE_CHECK(
        !source.prefix || !w.tensors.empty(),
        "{}: no tensor that is read has a name that begins with --prefix '{}'; `clr info` lists them",
        source.path, *source.prefix);
    w.chosen = true;
    return chosen;
  };
  w.file = data::read_weights(source.path, [&](const auto& candidates) { return choose(candidates, arch); });
  if (w.file.format == "safetensors") {
    // Its metadata may name the architecture.
    const auto known = layers::known_architectures();
    const auto recorded = w.file.metadata.find("arch");
    const bool goes_by_it = arch == "auto" && recorded != w.file.metadata.end() &&
                            std::find(known.begin(), known.end(), recorded->second) != known.end();
    choose({w.file}, goes_by_it ? recorded->second : arch);
  }
  if (!w.network) return w;
  for (const auto& t : w.file.tensors)
    if (!t.name.starts_with(w.prefix) && !t.name.ends_with("num_batches_tracked"))
      w.network->report.extra.push_back(fmt::format("{} {}", t.name, to_string(t.tensor.shape())));
  for (std::string& line : w.network->report.missing) {
    const std::string missing = line.substr(0, line.find(' '));
    for (const auto& [name, why] : w.file.unread)
      if (name.starts_with(w.prefix) && unwrapped(name.substr(w.prefix.size())) == missing)
        line += fmt::format(": in the file, but {}", why);
  }
  return w;
}

}  // namespace reprise::clr
