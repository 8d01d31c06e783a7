// Finds a network in a weight file: in which state dict its tensors are, and what their names begin
// with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"

namespace reprise::clr {

struct NetworkWeights {
  data::WeightFile file;                   // `file.tensors` as the file names them
  bool chosen = false;                     // false where the file has several state dicts and none was chosen
  std::string prefix;                      // of the network's names in the file
  std::vector<data::NamedTensor> tensors;  // those with the prefix, without it and without wrappers
  std::optional<ArchitectureMatch> network;  // none where no known architecture fits

  // Returns "section 'state_dict', prefix 'module.', without '_orig_mod.' in names" as far as there
  // are such; "" where there are none.
  std::string place() const;
  // Throws Error, listing the candidates, where no state dict was chosen.
  void check_chosen() const;
};

// Reads the file and compares every candidate and every prefix with the architecture ("auto": each
// known one). The one with the most tensors of the body wins. Throws Error where `source` asks for
// what the file has not, or where several fit equally well and hold different networks; each
// message lists what there is.
NetworkWeights read_network_weights(const WeightSource& source, const std::string& arch);

// Returns one line a candidate, the largest first, with the option that chooses it.
std::string list_candidates(const std::vector<data::StateDict>& candidates);

}  // namespace reprise::clr
