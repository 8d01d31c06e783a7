# reprise_emulate_cuda(target sources...):
# compiles the CUDA backend for the host, with this folder's imitation of the runtime.
function(reprise_emulate_cuda target)
  set(here ${PROJECT_SOURCE_DIR}/tests/emulation)
  set(sources ${ARGN} ${here}/memory.cpp ${here}/launch.cpp ${here}/graph.cpp ${here}/libraries_absent.cpp)
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX INCLUDE_DIRECTORIES ${here}/include)
  target_sources(${target} PRIVATE ${sources})
endfunction()
