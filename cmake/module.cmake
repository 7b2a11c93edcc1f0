# SPDX-License-Identifier: Apache-2.0
# trialwire_module(name DEPS ...): the library of one folder of src/. Sources are all *.cpp of the
# folder and below; *_test.cpp become the test program <name>_test.
function(trialwire_module name)
  cmake_parse_arguments(arg "" "TEST_TIMEOUT" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(target trialwire_${name})
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${arg_DEPS})
    target_precompile_headers(${target} REUSE_FROM trialwire_pch)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${arg_DEPS})
  endif()
  if(TRIALWIRE_TESTS AND tests)
    trialwire_test(${name}_test SOURCES ${tests} DEPS ${target} ${arg_TEST_DEPS}
      TIMEOUT ${arg_TEST_TIMEOUT})
  endif()
endfunction()

# trialwire_test(name SOURCES ... DEPS ...): a GoogleTest program, each of its suites known to ctest.
function(trialwire_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT ${TRIALWIRE_TEST_TIMEOUT})
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main rapidcheck)
  target_precompile_headers(${name} REUSE_FROM trialwire_pch)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    ENVIRONMENT "TRIALWIRE_BINARY=$<TARGET_FILE_DIR:trialwire>/trialwire;TRIALWIRE_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

# trialwire_fuzzer(name SOURCES ... DEPS ...): one libFuzzer target.
function(trialwire_fuzzer name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
