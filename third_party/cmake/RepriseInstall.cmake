# What `cmake --install` puts where: libraries, public headers under include/reprise, and the package files.
include(CMakePackageConfigHelpers)

install(DIRECTORY engine layers optim data DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise
  FILES_MATCHING PATTERN "*.h"
  PATTERN "engine/kernels/*" EXCLUDE
  PATTERN "check.h" EXCLUDE
  PATTERN "block_pool.h" EXCLUDE
  PATTERN "operands.h" EXCLUDE)
install(FILES engine/kernels/args.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/reprise/engine/kernels)

set(reprise_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)
install(EXPORT repriseTargets NAMESPACE reprise:: DESTINATION ${reprise_package_dir})
configure_package_config_file(third_party/cmake/repriseConfig.cmake.in ${PROJECT_BINARY_DIR}/repriseConfig.cmake
  INSTALL_DESTINATION ${reprise_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/repriseConfig.cmake ${PROJECT_BINARY_DIR}/repriseConfigVersion.cmake
  DESTINATION ${reprise_package_dir})
