# What `cmake --install` installs:
# libraries, public headers under include/reprise, and the package files.
include(CMakePackageConfigHelpers)

install(DIRECTORY engine layers optim data DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise
  FILES_MATCHING PATTERN "*.h"
  PATTERN "engine/kernels/*" EXCLUDE
  PATTERN "engine/cases/*" EXCLUDE
  PATTERN "check.h" EXCLUDE
  PATTERN "block_pool.h" EXCLUDE
  PATTERN "operands.h" EXCLUDE
  PATTERN "byte_reader.h" EXCLUDE
  PATTERN "decoders.h" EXCLUDE
  PATTERN "stb_decode.h" EXCLUDE)
# The public headers of engine/kernels, as its README lists them.
foreach(header args.h probe.h allowance.h shapes_only.h cpu/base/machine.h)
  get_filename_component(folder engine/kernels/${header} DIRECTORY)
  install(FILES engine/kernels/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise/${folder})
endforeach()

# A static library leaves its dependencies to the consumer's link; only a CUDA build has CUDA among them.
set(REPRISE_PACKAGE_CUDA "")
if(REPRISE_WITH_CUDA AND NOT REPRISE_CUDA_EMULATED)
  set(REPRISE_PACKAGE_CUDA "find_dependency(CUDAToolkit)")
endif()
set(reprise_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)
install(EXPORT repriseTargets NAMESPACE reprise:: DESTINATION ${reprise_package_dir})
configure_package_config_file(third_party/cmake/repriseConfig.cmake.in ${PROJECT_BINARY_DIR}/repriseConfig.cmake
  INSTALL_DESTINATION ${reprise_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/repriseConfig.cmake ${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake
  DESTINATION ${reprise_package_dir})
