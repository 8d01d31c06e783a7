// What cudnn.h takes from CUDA's header of this name.
#pragma once

enum libraryPropertyType { MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL };
using cudaGraph_t = struct CUgraph_st*;
