# What `cmake --install` installs:
# libraries, public headers under include/reprise, and the package files.
include(CMakePackageConfigHelpers)

install(DIRECTORY engine layers optim data DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise
  FILES_MATCHING PATTERN "*.h"
  PATTERN "engine/kernels/*" EXCLUDE
  PATTERN "engine/cases/*" EXCLUDE
  PATTERN "check.h" EXCLUDE
  PATTERN "block_pool.h" EXCLUDE
  PATTERN "operands.h" EXCLUDE)
# The public headers of engine/kernels, as its README lists them.
foreach(header args.h probe.h allowance.h shapes_only.h cpu/base/machine.h)
  get_filename_component(folder engine/kernels/${header} DIRECTORY)
  install(FILES engine/kernels/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise/${folder})
endforeach()

set(reprise_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)
install(EXPORT repriseTargets NAMESPACE reprise:: DESTINATION ${reprise_package_dir})
configure_package_config_file(third_party/cmake/repriseConfig.cmake.in ${PROJECT_BINARY_DIR}/repriseConfig.cmake
  INSTALL_DESTINATION ${reprise_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/repriseConfig.cmake ${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake
  DESTINATION ${reprise_package_dir})
