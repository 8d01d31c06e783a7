# reprise_emulate_cuda(target sources...):
# compiles the CUDA backend for the host, with this folder's imitation of the runtime.
# Where the headers of cuDNN and cuBLASLt are installed, the calls of these libraries are compiled too,
# with imitations of them.
function(reprise_emulate_cuda target)
  set(here ${PROJECT_SOURCE_DIR}/tests/emulation)
  set(sources ${ARGN} ${here}/memory.cpp ${here}/launch.cpp ${here}/graph.cpp ${here}/libraries_absent.cpp)
  find_path(CUDNN_INCLUDE_DIR cudnn.h)
  find_path(CUBLAS_INCLUDE_DIR cublasLt.h HINTS /usr/local/cuda/include)
  if(CUDNN_INCLUDE_DIR AND CUBLAS_INCLUDE_DIR)
    list(APPEND sources ${here}/cudnn_imitation.cpp kernels/cuda/cudnn.cpp)
    set_source_files_properties(${here}/cudnn_imitation.cpp kernels/cuda/cudnn.cpp PROPERTIES
      COMPILE_OPTIONS "-idirafter;${CUDNN_INCLUDE_DIR}")
    # With CUDA's own headers, which cublasLt.h includes.
    set_source_files_properties(${here}/cublaslt_imitation.cpp kernels/cuda/cublaslt.cpp PROPERTIES
      COMPILE_OPTIONS "-isystem;${CUBLAS_INCLUDE_DIR}")
    target_sources(${target} PRIVATE ${here}/cublaslt_imitation.cpp kernels/cuda/cublaslt.cpp)
    set_source_files_properties(${here}/libraries_absent.cpp PROPERTIES
      COMPILE_DEFINITIONS REPRISE_IMITATES_LIBRARIES)
  endif()
  # A GPU faults where a vector is loaded from an address that is no multiple of its size, which a CPU
  # does not: in the kernels the sanitizer's check ends the process by a trap, without its library.
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS
    -fsanitize=alignment -fsanitize-undefined-trap-on-error)
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX INCLUDE_DIRECTORIES ${here}/include)
  target_sources(${target} PRIVATE ${sources})
endfunction()
