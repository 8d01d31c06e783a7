// One launch for a list of tensors. The list is a kernel parameter: no copy to the device
// precedes the launch, and a captured step contains the list.
#pragma once

#include <vector>

#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {

// At most 256 items: a kernel's parameters may have 32,764 bytes. ends[k]: the number of blocks of
// items 0 to k.
template <class Item>
struct List {
  static constexpr int most = 256;
  int count = 0;
  std::int64_t ends[most];
  Item items[most];

  // Returns the item of a block of the grid.
  __device__ int item_of(std::int64_t block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (block < ends[middle])
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
  __device__ std::int64_t first_block(int item) const { return item == 0 ? 0 : ends[item - 1]; }
};

// Calls launch(list, blocks) for the items; more than once only if they exceed List::most.
// Item::blocks() returns how many blocks of the grid an item takes, at least one.
template <class Item, class F>
void for_lists(const std::vector<Item>& items, F launch) {
  for (std::size_t begin = 0; begin < items.size(); begin += List<Item>::most) {
    List<Item> list;
    std::int64_t blocks = 0;
    for (std::size_t k = begin; k < items.size() && list.count < List<Item>::most; ++k) {
      blocks += items[k].blocks();
      list.ends[list.count] = blocks;
      list.items[list.count++] = items[k];
    }
    launch(list, grid_size(blocks));
  }
}

}  // namespace reprise::kernels::cuda
