#include "engine/kernels/cuda/libraries.h"

#include <dlfcn.h>

#include "engine/base/check.h"
#include "engine/base/env.h"

namespace reprise::kernels::cuda {

bool libraries_wanted() {
  static const bool wanted = env_flag("REPRISE_CUDA_LIBRARIES");
  return wanted;
}

Library::Library(const std::string& library, const std::vector<std::string>& names,
                 const std::string& purpose, const std::string& package)
    : library_(library) {
  std::string tried;
  for (const std::string& name : names) {
    handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) return;
    const char* why = dlerror();
    tried += fmt::format("\n  {}", why == nullptr ? name : why);
  }
  throw_error(
      "cuda: {} could not be loaded, which computes {}{}\n  install it ({}) or put its folder into "
      "LD_LIBRARY_PATH; REPRISE_CUDA_LIBRARIES=0 uses slower kernels of our own instead",
      library, purpose, tried, package);
}

void* Library::address(const char* symbol) const {
  void* const p = dlsym(handle_, symbol);
  REPRISE_CHECK(p != nullptr, "cuda: {} has no function {}; another version is needed", library_, symbol);
  return p;
}

}  // namespace reprise::kernels::cuda
