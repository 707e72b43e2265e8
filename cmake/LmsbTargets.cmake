# lmsb_library(<name> DEPS <lmsb libraries> EXTERNAL <imported targets>)
# One folder src/<name> = one static library = one namespace. Sources are globbed from that folder only; *_test.cc go
# to one test program a library. The declared DEPS are the only folders whose headers it may include (directly:
# nothing is inherited); tools/check_layers.py reads layers.txt, which this writes, and is the test lint.layers.
function(lmsb_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;EXTERNAL")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(TRANSFORM arg_DEPS PREPEND lmsb:: OUTPUT_VARIABLE deps)
  file(APPEND ${PROJECT_BINARY_DIR}/layers.txt "${name}: ${arg_DEPS}\n")
  if(sources)
    add_library(lmsb_${name} STATIC ${sources})
    target_include_directories(lmsb_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(lmsb_${name} PUBLIC ${deps} ${arg_EXTERNAL})
  else()
    add_library(lmsb_${name} INTERFACE)
    target_include_directories(lmsb_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(lmsb_${name} INTERFACE ${deps} ${arg_EXTERNAL})
  endif()
  add_library(lmsb::${name} ALIAS lmsb_${name})
  if(tests AND BUILD_TESTING)
    add_executable(${name}_tests ${tests})
    target_link_libraries(${name}_tests PRIVATE lmsb::${name} GTest::gmock_main)
    target_compile_definitions(${name}_tests PRIVATE LMSB_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    gtest_discover_tests(${name}_tests TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST PROPERTIES LABELS unit)
    if(NOT TARGET unit_tests)
      add_custom_target(unit_tests)  # all of them: what a build with sanitizers can run
    endif()
    add_dependencies(unit_tests ${name}_tests)
  endif()
endfunction()

# lmsb_program(<name> DEPS <lmsb libraries>): src/bin/<name with _>.cc becomes bin/<name>.
function(lmsb_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS")
  string(REPLACE "-" "_" source ${name})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/src/bin/${source}.cc)
  list(TRANSFORM arg_DEPS PREPEND lmsb:: OUTPUT_VARIABLE deps)
  target_link_libraries(${name} PRIVATE ${deps})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# lmsb_static_program(<name> SOURCES <files> EXTERNAL <archives>): the same for what runs where no library is: static,
# small, and without exceptions.
function(lmsb_static_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;EXTERNAL")
  string(REPLACE "-" "_" source ${name})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/src/bin/${source}.cc ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(${name} PRIVATE -O2 -fno-exceptions -fno-unwind-tables -fno-asynchronous-unwind-tables
                                         -fno-rtti -fno-threadsafe-statics -ffunction-sections -fdata-sections
                                         -fno-sanitize=all -fno-PIE)
  target_link_options(${name} PRIVATE -static -no-pie -s -Wl,--gc-sections -fno-sanitize=all
                                      -Wl,-T,${PROJECT_SOURCE_DIR}/cmake/no_unwinding.ld)
  target_link_libraries(${name} PRIVATE ${arg_EXTERNAL})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF
                                           LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/no_unwinding.ld
                                           RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()
