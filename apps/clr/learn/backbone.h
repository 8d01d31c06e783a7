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
#include "layers/state_dict.h"

namespace reprise::layers {
class Network;
struct InitStreams;
struct Method;
}  // namespace reprise::layers

namespace reprise::clr {

using layers::
    LoadReport;  // for a backbone, a missing tensor or another shape is an error, except in the head

// A weight file, and which of its tensors are meant. A missing section or prefix is found by what
// fits a network.
struct WeightSource {
  std::string path;
  std::optional<std::string> section, prefix;  // --section, --prefix
  std::string identity;                        // of the body that is wanted, if it is known

  WeightSource(std::string file) : path(std::move(file)) {}
  WeightSource(const char* file) : path(file) {}
};

// A pretrained network, or only an architecture (see architecture_only). Networks made from it
// share its sealed weights, and may outlive it.
struct Backbone {
  std::string path, file_sha256;
  std::string place;     // in the file: "section 'state_dict', prefix 'module.'"; may be empty
  std::string identity;  // SHA-256 over the body's tensors; see data::backbone_identity
  std::string arch;      // "resnet20"
  std::map<std::string, Tensor> weights;  // torchvision's names, memory layout, on `device`, all sealed
  // The number of batches that each batch norm has seen
  // (num_batches_tracked), by its path; absent where unknown.
  std::map<std::string, std::int64_t> batches_tracked;
  int classes = 0;  // of the file's own head; 0 if it has none that fits
  int size = 0;     // image height and width in pixels: the file's, else the architecture's default
  LoadReport report;
  Device device;
  DType dtype = DType::f32;

  // True if this is only an architecture, without weights.
  bool is_none() const { return weights.empty(); }

  // Makes a new network for a task, in the mode (training or evaluation) in which the method
  // trains. Frozen tensors are the sealed ones, trained tensors are copies. New layers and the head
  // are sampled from the streams "init/<task>/<parameter>", or from `streams`. Throws BadValue if
  // the method starts at random and is_none() is false, or the other way round.
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               std::uint64_t seed, const std::string& task) const;
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               const layers::InitStreams& streams) const;
  // Does the same, but samples in the order of a PyTorch program after torch.manual_seed:
  // the pretrained network's constructor, the reprogramming layers, the new head.
  // Leaves the generator where training begins.
  std::unique_ptr<layers::Network> instantiate(const std::string& method, int classes_of_task,
                                               TorchGenerator& generator) const;
  // Makes the loaded network with its own head, in evaluation mode. No tensor requires a gradient.
  // With a method: adds the method's layers, with start values from `seed`, and marks the tensors
  // that the method trains. If `classes` is 0 (no head fits), the logits mean nothing.
  std::unique_ptr<layers::Network> pretrained(const std::string& method = {}, std::uint64_t seed = 0) const;

  // Hashes all sealed memory again, derived forms too. Throws an Error that names a changed tensor.
  void verify() const;
  std::int64_t parameters() const;  // count of the body's and head's parameters, without statistics
  std::int64_t bytes() const;       // of all tensors
  std::string describe() const;     // for a person; ends with the tensors that did not fit

 private:
  int constructed_classes() const;
  void put_weights(layers::Network& network, const layers::Method& method) const;
};

// Reads the file, chooses the architecture ("auto": the recorded one, else the one that fits),
// checks the tensors and seals them. Throws BadValue for an unknown architecture, and Error if the
// file cannot be read, is a task file, lacks tensors of the body in the right shape, or if a number
// is NaN, an infinity or a negative variance.
// With `until` (a module's path), tensors of later modules may be missing.
Backbone load_backbone(const WeightSource& source, const std::string& arch, Device device, DType dtype,
                       const std::string& until = {});

// Throws Error, with the index, where a number of the tensor cannot be one of a trained network. The
// message begins with `from`.
void check_numbers(const std::string& from, const std::string& name, const Tensor& tensor);

// Returns a Backbone without weights, for methods that start at random. Throws BadValue for an
// unknown architecture and for "auto".
Backbone architecture_only(const std::string& arch, Device device, DType dtype);
inline constexpr const char* no_identity = "none";  // the identity of such a Backbone
// Returns architecture_only(…) for a method that starts at random, else load_backbone(…).
// Throws BadValue if a path is given for the former or missing for the latter.
Backbone backbone_for(const std::string& method, const WeightSource& source, const std::string& arch,
                      Device device, DType dtype, const std::string& until = {});

// The architecture that a set of tensors (names without prefix) fits best, and how well it fits.
struct ArchitectureMatch {
  std::string arch;
  LoadReport report;     // against that architecture, with a head of as many classes as the tensors have
  std::size_t body = 0;  // how many of its matched tensors are not the head's
};
// Compares the tensors with an architecture. "auto" is the one that fits best: nothing if no known
// one shares half of its tensors.
std::optional<ArchitectureMatch> recognise(const std::vector<data::NamedTensor>& tensors,
                                           const std::string& arch);
// Returns whether at least half of the network's tensors are in the file in the right shape.
bool fits_mostly(const LoadReport& report);
// Looks among the tensors for a head that fits the network's features.
// Returns its number of classes; 0 if there is none.
int classes_of(const std::vector<data::NamedTensor>& tensors, const layers::Network& network);

// Return the name, or throw BadValue with a list of the known names.
// The original's name of a method becomes ours.
std::string checked_architecture(const std::string& arch);
std::string checked_method(const std::string& method);

// Returns the identity (data::backbone_identity) of those
// tensors that belong to the body of this architecture.
std::string identity_of(const std::vector<data::NamedTensor>& tensors, const std::string& arch);

// Returns the metadata of a backbone file that clr writes.
std::map<std::string, std::string> backbone_metadata(const std::string& arch, int size,
                                                     const std::vector<std::string>& class_names);
// Returns how images become numbers (size, resizing, mean,
// standard deviation) as JSON for metadata.
std::string preprocessing_text(int size);
// Reads the size back from such a text; 0 if it has none from 1 to 8192.
int preprocessed_size(const std::string& text);

}  // namespace reprise::clr
