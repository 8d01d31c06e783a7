// The backbone: a pretrained network, read once, sealed, shared by all tasks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/weights/state_dict.h"
#include "engine/base/torch_random.h"
#include "engine/core/tensor.h"

namespace reprise::layers {
class Network;
struct InitStreams;
struct Method;
}  // namespace reprise::layers

namespace reprise::clr {

// How a file's tensors met a network's, by name. Missing and of another shape are errors unless the
// head's.
struct LoadReport {
  std::vector<std::string> matched;
  std::size_t body = 0;                    // how many of `matched` are not the head's
  std::vector<std::string> missing;        // from the file: "layer4.0.conv1.weight [512, 512, 3, 3]"
  std::vector<std::string> extra;          // of the file, not of the network
  std::vector<std::string> shape_differs;  // "fc.weight: [1000, 512] in the file, [10, 512] in the network"
  std::string text() const;                // a few lines for a person; long lists are cut
};

// A weight file, and which of its tensors are meant. What is not given is found by what fits a
// network.
struct WeightSource {
  std::string path;
  std::optional<std::string> section, prefix;  // --section, --prefix
  std::string identity;                        // of the body that is wanted, where it is known

  WeightSource(std::string file) : path(std::move(file)) {}
  WeightSource(const char* file) : path(file) {}
};

struct Backbone {
  std::string path, file_sha256;
  std::string place;     // in the file: "section 'state_dict', prefix 'module.'"; may be empty
  std::string identity;  // SHA-256 over the body's tensors; see data::backbone_identity
  std::string arch;      // "resnet20"
  std::map<std::string, Tensor> weights;  // torchvision's names, memory layout, on `device`, all sealed
  // Batches that each batch norm has seen, as PyTorch counts them, by its path; absent where
  // unknown.
  std::map<std::string, std::int64_t> batches_tracked;
  int classes = 0;  // of its own head; 0 where the file has none that fits
  int size = 0;     // image size that the file records, else the architecture's usual
  LoadReport report;
  Device device;
  DType dtype = DType::f32;

  // Whether it is an architecture alone, without weights (see architecture_alone).
  bool is_none() const { return weights.empty(); }

  // Makes a new network for a task, in the mode in which the method trains. Frozen tensors are the
  // sealed ones, trained ones copies; new layers and the head are sampled from the streams
  // "init/<task>/<parameter>". BadValue where the method needs a backbone and this is none, or the
  // other way round.
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               std::uint64_t seed, const std::string& task) const;
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               const layers::InitStreams& streams) const;
  // Samples in the order of a PyTorch program after torch.manual_seed: the pretrained network's
  // constructor, the reprogramming layers, the new head. Leaves the generator where training
  // begins.
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               TorchGenerator& generator) const;
  // The network as loaded, with its own head, in evaluation mode, nothing trained; or in a method's
  // form, as before the first step. Without a head of its own (classes is 0) the logits mean
  // nothing.
  std::unique_ptr<layers::Network> pretrained(const std::string& method = {}, std::uint64_t seed = 0) const;

  // Hashes all sealed memory again, derived forms too; throws Error naming what has changed.
  void verify() const;
  std::int64_t parameters() const;  // numbers in the body's and head's parameters, statistics not counted
  std::int64_t bytes() const;       // of all its tensors
  std::string describe() const;     // for a person: what it is, and what of the file did not fit

 private:
  int constructed_classes() const;
  void put_weights(layers::Network& network, const layers::Method& method) const;
};

// Reads the file, finds the architecture ("auto": the one recorded, else the one that fits),
// checks, seals. Throws BadValue for an unknown architecture, Error where tensors of the body are
// missing or mis-shaped, or where a number is NaN, an infinity or a negative variance. Tensors of
// modules after the one at the path `until` may be missing.
Backbone load_backbone(const WeightSource& source, const std::string& arch, Device device, DType dtype,
                       const std::string& until = {});

// Stands for the backbone of methods that start at random. BadValue for an unknown architecture or
// "auto".
Backbone architecture_alone(const std::string& arch, Device device, DType dtype);
inline constexpr const char* no_identity = "none";
// The method's backbone: the file's, or only an architecture. BadValue where the wrong one of them
// is given.
Backbone backbone_for(const std::string& method, const WeightSource& source, const std::string& arch,
                      Device device, DType dtype, const std::string& until = {});

// What a set of tensors (names without prefix) says of its network.
struct ArchitectureMatch {
  std::string arch;
  LoadReport report;  // against that architecture, with a head of as many classes as the tensors have
};
// Compares the tensors with an architecture. "auto" is the one that fits best: nothing where no
// known one shares half of its tensors.
std::optional<ArchitectureMatch> recognise(const std::vector<data::NamedTensor>& tensors,
                                           const std::string& arch);
// Whether at least half of the network's tensors are there as they should be.
bool fits_mostly(const LoadReport& report);
// The number of classes of the head that the tensors hold and the network could have; 0 where there
// is none.
int classes_of(const std::vector<data::NamedTensor>& tensors, const layers::Network& network);

// The same name, or BadValue with a list. The original's name of a method becomes ours.
std::string checked_architecture(const std::string& arch);
std::string checked_method(const std::string& method);

// The identity of the tensors that make up the body of this architecture.
std::string identity_of(const std::vector<data::NamedTensor>& tensors, const std::string& arch);

// Metadata of a backbone file that clr writes.
std::map<std::string, std::string> backbone_metadata(const std::string& arch, int size,
                                                     const std::vector<std::string>& class_names);
// How images become numbers, as metadata has it; and the size in such a text, 0 where there is
// none.
std::string preprocessing_text(int size);
int preprocessed_size(const std::string& text);

}  // namespace reprise::clr
