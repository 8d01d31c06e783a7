# How the libraries and tests of the house are built. All compiler flags are here.

# reprise_flags(target):
# sets C++20, private warnings, and the floating-point rules of the determinism contract.
function(reprise_flags target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wunused -Wdouble-promotion -Wimplicit-fallthrough>
    # GCC 12 falsely warns of overlapping and endless copies inside std::string (GCC bug 105651).
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread>
    $<$<AND:$<BOOL:${REPRISE_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>
    # CMake before 3.26 cannot ask for C++20 in CUDA.
    # No contraction on the device, so that elementwise kernels round as the reference does.
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --extended-lambda -fmad=false -Xcompiler=-Wall,-Wextra,-ffp-contract=off>
    $<$<AND:$<BOOL:${REPRISE_WERROR}>,$<COMPILE_LANGUAGE:CUDA>>:-Werror=all-warnings>)
endfunction()

# reprise_precompile(target headers...): precompiles the headers that most of a target's files
# include. Off in the ci preset, where every file must have its own includes.
function(reprise_precompile target)
  if(REPRISE_PCH)
    target_precompile_headers(${target} PRIVATE ${ARGN})
    # With a precompiled header,
    # GCC 12 raises its false alarm about std::string under this name too.
    target_compile_options(${target} PRIVATE
      $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-array-bounds>)
  endif()
endfunction()

# reprise_library(name SOURCES ...):
# defines and installs the library reprise_<name>, for users reprise::<name>.
function(reprise_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  set(target reprise_${name})
  add_library(${target} ${ARG_SOURCES})
  add_library(reprise::${name} ALIAS ${target})
  reprise_flags(${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERSION ${PROJECT_VERSION} SOVERSION 0)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/reprise>)
  target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
  reprise_precompile(${target} <algorithm> <cmath> <functional> <map> <memory> <span> <string> <vector> <fmt/format.h>)
  if(BUILD_SHARED_LIBS)
    target_compile_definitions(${target} PUBLIC REPRISE_SHARED)
  endif()
  install(TARGETS ${target} EXPORT repriseTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# reprise_test(name SOURCES ...): defines the test program test_<name>, which ctest runs.
function(reprise_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  set(target test_${name})
  add_executable(${target} ${ARG_SOURCES})
  reprise_flags(${target})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE REPRISE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${ARG_LINK} GTest::gtest GTest::gtest_main)
  # Tests are compiled more often than they run, and -O1 compiles a third faster.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  reprise_precompile(${target} <gtest/gtest.h>)
  # mutate.py reads how long each test took.
  add_test(NAME ${name} COMMAND ${target} --gtest_output=json:${CMAKE_CURRENT_BINARY_DIR}/times.json)
endfunction()
