# heddle_module(
#   NAME n LAYER k SRCS .. [SMALL] [DEPS ..] [LIBS ..] [TESTS ..] [TEST_DEPS ..] [ALONE ..])
#
# One static library a module (an interface library when it has no sources: a port), include root
# `src/`. DEPS are Heddle modules of a lower layer (checked here at configure time, and over the
# includes by scripts/check_layers.py); LIBS are third-party targets, private to the module. TESTS
# are the module's *_test.cpp, built into one binary `<name>_test`; TEST_DEPS are further modules
# only the tests link. ALONE are sources that are compiled by themselves. SMALL is a module that
# decides, keeps or tells, and through whose loops no stream of rows or requests goes: it is
# compiled for size (docs/adr/0015-distribution-and-sdk.md).
set_property(GLOBAL PROPERTY GLOBAL_DEPENDS_NO_CYCLES ON)

# Every module's tests, for builds that want nothing else (scripts/sanitize.sh).
add_custom_target(unit_tests)
set(HEDDLE_UNIT_TIMEOUT 600 CACHE STRING "seconds that the tests of one module may take")
set(
  HEDDLE_TEST_ENVIRONMENT
  ""
  CACHE STRING
  "environment of every module's tests, for example a sanitizer's options"
)

# Sources are compiled several at once (unity builds), for each of them takes most of its time for
# headers that the others have too. So names of a module's unnamed namespaces differ from file to
# file; where the compiler sees ghosts in sources that come together, they are named ALONE.
set(HEDDLE_SOURCES_AT_ONCE 4)
set(
  HEDDLE_WARNINGS
  # of every unnamed namespace in a unity build: its sources count as headers
  -Wno-subobject-linkage
  -Wall
  -Wextra
  -Wshadow
  -Wvla
  -Werror
)
# g++ 12 warns of things that are not so where a sanitizer changed the code
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=")
  list(REMOVE_ITEM HEDDLE_WARNINGS -Werror)
endif()

# Not where a sanitizer runs: there everything is compiled alike.
set(HEDDLE_SMALL_OPTIONS $<$<CONFIG:Release,RelWithDebInfo>:-Os> -ffunction-sections)

# A precompiled header serves what is compiled with its own options.
foreach(pch heddle_pch heddle_small_pch)
  add_library(${pch} STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
  target_link_libraries(${pch} PUBLIC fmt::fmt)
  target_compile_options(${pch} PRIVATE ${HEDDLE_WARNINGS})
  target_precompile_headers(
    ${pch}
    PRIVATE
      <algorithm>
      <array>
      <cstdint>
      <functional>
      <map>
      <memory>
      <optional>
      <span>
      <string>
      <string_view>
      <unordered_map>
      <utility>
      <variant>
      <vector>
      <fmt/format.h>
  )
endforeach()
target_compile_options(heddle_small_pch PRIVATE ${HEDDLE_SMALL_OPTIONS})

# g++ 12 warns of std::string's own code where it comes from a precompiled header (GCC bug 105651).
# Tests are compiled with -Og, which takes less time; what they try is optimised all the same.
set(
  HEDDLE_TEST_OPTIONS
  -Og
  ${HEDDLE_WARNINGS}
  -Wno-array-bounds
  -Wno-restrict
  -Wno-stringop-overflow
  -Wno-stringop-overread
)
add_library(heddle_test_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(heddle_test_pch PUBLIC fmt::fmt GTest::gtest GTest::gmock)
target_compile_options(heddle_test_pch PRIVATE ${HEDDLE_TEST_OPTIONS})
target_precompile_headers(
  heddle_test_pch
  PRIVATE
    <algorithm>
    <array>
    <cstdint>
    <filesystem>
    <functional>
    <map>
    <memory>
    <optional>
    <span>
    <string>
    <string_view>
    <unordered_map>
    <utility>
    <variant>
    <vector>
    <fmt/format.h>
    <gmock/gmock.h>
    <gtest/gtest.h>
)
# as the tests: the compiler's default
set_target_properties(heddle_test_pch PROPERTIES POSITION_INDEPENDENT_CODE OFF)

function(heddle_module)
  cmake_parse_arguments(M "SMALL" "NAME;LAYER" "SRCS;DEPS;LIBS;TESTS;TEST_DEPS;ALONE" ${ARGN})
  set_source_files_properties(${M_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  string(REPLACE "/" "_" id ${M_NAME})
  set(target heddle_${id})
  if(M_SRCS)
    set(scope PUBLIC)
    add_library(${target} STATIC ${M_SRCS})
    target_compile_options(${target} PRIVATE ${HEDDLE_WARNINGS})
    if(M_SMALL)
      target_compile_options(${target} PRIVATE ${HEDDLE_SMALL_OPTIONS})
      target_precompile_headers(${target} REUSE_FROM heddle_small_pch)
    else()
      target_precompile_headers(${target} REUSE_FROM heddle_pch)
    endif()
    set_target_properties(
      ${target}
      PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${HEDDLE_SOURCES_AT_ONCE}
    )
    target_link_libraries(${target} PRIVATE ${M_LIBS})
  else() # a port: headers only
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  target_include_directories(${target} ${scope} ${CMAKE_SOURCE_DIR}/src)
  set_target_properties(${target} PROPERTIES HEDDLE_LAYER ${M_LAYER})
  foreach(dep IN LISTS M_DEPS)
    get_target_property(layer heddle_${dep} HEDDLE_LAYER)
    if(NOT layer LESS M_LAYER)
      message(
        FATAL_ERROR
        "layering: ${M_NAME} (layer ${M_LAYER}) may not depend on ${dep} (layer ${layer})"
      )
    endif()
    target_link_libraries(${target} ${scope} heddle_${dep})
  endforeach()
  target_link_libraries(${target} ${scope} fmt::fmt)
  if(M_TESTS)
    add_executable(${id}_test ${M_TESTS})
    target_compile_options(${id}_test PRIVATE ${HEDDLE_TEST_OPTIONS})
    target_precompile_headers(${id}_test REUSE_FROM heddle_test_pch)
    set_target_properties(
      ${id}_test
      PROPERTIES
        POSITION_INDEPENDENT_CODE OFF
        UNITY_BUILD ON
        UNITY_BUILD_BATCH_SIZE ${HEDDLE_SOURCES_AT_ONCE}
    )
    target_link_libraries(
      ${id}_test
      PRIVATE ${target} ${M_LIBS} GTest::gtest GTest::gmock GTest::gtest_main
    )
    foreach(dep IN LISTS M_TEST_DEPS)
      target_link_libraries(${id}_test PRIVATE heddle_${dep})
    endforeach()
    add_test(NAME ${id} COMMAND ${id}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(
      ${id}
      PROPERTIES
        LABELS "unit;module"
        TIMEOUT ${HEDDLE_UNIT_TIMEOUT}
        ENVIRONMENT "${HEDDLE_TEST_ENVIRONMENT}"
    )
    add_dependencies(unit_tests ${id}_test)
  endif()
endfunction()

# heddle_hot_first(PROGRAM): of an inline function that several modules have, the linker takes the
# first copy. It shall be that of a module that goes through rows and requests, not of a SMALL one.
function(heddle_hot_first program)
  if(NOT LLD)
    return()
  endif()
  set(first)
  foreach(
    module
    serve
    net
    score
    contract
    feature
    model
    expr
    plane
    telemetry
    runtime
    table
    stats
    doc
    base
  )
    list(APPEND first $<TARGET_FILE:heddle_${module}>)
  endforeach()
  target_link_options(
    ${program}
    PRIVATE LINKER:--whole-archive ${first} LINKER:--no-whole-archive LINKER:--gc-sections
  )
endfunction()
