# A room is a folder: its *.cpp (and *.cu) make one static library, vitrine_<name>, that others link by name, other projects
# as vitrine::<name>.
#
#   vitrine_room(NAME [SOURCES file...] [EXCEPT file...] [USES target...] [TORCH] [GLUE])
#                                                  of all *.cpp and *.cu of the folder, unless SOURCES names them or EXCEPT
#                                                  leaves some out; TORCH shares a precompiled header; GLUE: calls
#                                                  the rooms that do the work, and is compiled at -O1
#   vitrine_command(NAME SOURCES... USES target...) an executable in build/bin
#   vitrine_test(NAME SOURCES... USES target... [TORCH] [LABELS label...] [IN PROGRAM])
#                                                  a ctest entry of doctest cases, in an executable of its own, NAME; skipped
#                                                  where a case called skip() and none failed (tests/support/skip.h); with the
#                                                  label gpu it runs on one, and is skipped where there is none. IN: compiled into
#                                                  the executable PROGRAM together with the other entries that name it, as
#                                                  LibTorch's headers cost each unit seconds; NAME runs the cases of its SOURCES.
#                                                  add_dependencies then takes PROGRAM
#   vitrine_gpu_test(TEST [FILTER...])              the same entry once more on a GPU, as TEST_gpu with the label gpu; skipped
#                                                  where there is none (tests/support/doctest_main.cpp)
#   vitrine_portable_test(TEST)                     the same entry once more on the codec's bodies that run everywhere, as
#                                                  TEST_portable
#   vitrine_peer_test(NAME SCRIPT [ARGS...])        a Python script that tests an executable; run with .venv's Python, whose
#                                                  assert statements no variable of the environment turns off (-E); 77: skipped
# For code that includes a room's headers: no contraction, no fast math, as bytes must not depend on what the compiler fuses.
add_library(vitrine_headers INTERFACE)
target_include_directories(vitrine_headers INTERFACE $<BUILD_INTERFACE:${vitrine_SOURCE_DIR}>
                                                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/vitrine>)
target_compile_features(vitrine_headers INTERFACE cxx_std_20)
target_compile_options(vitrine_headers INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

# For this project's own sources.
add_library(vitrine_options INTERFACE)
target_link_libraries(vitrine_options INTERFACE vitrine_headers)
target_compile_options(vitrine_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers>)
if(VITRINE_WERROR)
  target_compile_options(vitrine_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  # GCC 12 warns of its own std::string (bugs 105329 and 105651): these stay warnings.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(vitrine_options INTERFACE
      $<$<COMPILE_LANGUAGE:CXX>:-Wno-error=restrict -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=array-bounds>)
  endif()
endif()
if(VITRINE_SANITIZE)
  list(JOIN VITRINE_SANITIZE "," _sanitizers)
  target_compile_options(vitrine_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${_sanitizers} -fno-omit-frame-pointer>)
  target_link_options(vitrine_options INTERFACE -fsanitize=${_sanitizers})
endif()

# One precompiled header for all targets with TORCH: tensors, the base of modules, and what most of their files include besides.
# All of torch/torch.h would cost each file three seconds more, for the templates of what it does not use.
add_library(vitrine_torch_pch STATIC ${vitrine_SOURCE_DIR}/tools/cmake/torch_pch.cpp)
target_link_libraries(vitrine_torch_pch PRIVATE vitrine_options vitrine_torch nlohmann_json::nlohmann_json TBB::tbb)
target_precompile_headers(vitrine_torch_pch PRIVATE <ATen/ATen.h> <torch/nn/module.h> <nlohmann/json.hpp> <tbb/parallel_for.h>
                          <filesystem>)

function(vitrine_use_torch target)
  target_link_libraries(${target} PUBLIC vitrine_torch)
  target_precompile_headers(${target} REUSE_FROM vitrine_torch_pch)
endfunction()

# Executables must be compiled with the flags of the precompiled header, or the compiler ignores it.
function(vitrine_executable_uses_torch target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fPIC>)
  target_precompile_headers(${target} REUSE_FROM vitrine_torch_pch)
  target_link_libraries(${target} PRIVATE vitrine_torch)
endfunction()

# Unity build: most of a small file's compile time is headers and templates (LibTorch's, nlohmann's), which several
# files at once share. Names in their anonymous namespaces must therefore differ within a room.
function(vitrine_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VITRINE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# For code whose speed does not matter: templates of assertions and command lines compile in two thirds of the time.
function(vitrine_quickly_compiled target)
  target_compile_options(${target} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-O1>)
endfunction()

# Adds a room to those that are installed (install.cmake): to the export Vitrine, or VitrineTorch if it needs LibTorch.
function(vitrine_export_room name)
  set_target_properties(vitrine_${name} PROPERTIES EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY vitrine_rooms ${name})
  set_property(GLOBAL PROPERTY vitrine_uses_${name} "${ROOM_USES}")
  set(torch ${ROOM_TORCH})
  foreach(used ${ROOM_USES})
    string(REGEX REPLACE "^vitrine_" "" used ${used})
    get_property(uses_torch GLOBAL PROPERTY vitrine_torch_${used})
    if(uses_torch)
      set(torch TRUE)
    endif()
  endforeach()
  set_property(GLOBAL PROPERTY vitrine_torch_${name} ${torch})
  if(NOT VITRINE_INSTALL)
    return()
  elseif(torch)
    install(TARGETS vitrine_${name} EXPORT VitrineTorch ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT torch)
  else()
    install(TARGETS vitrine_${name} EXPORT Vitrine ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT core)
  endif()
endfunction()

function(vitrine_room name)
  cmake_parse_arguments(ROOM "TORCH;GLUE" "" "SOURCES;EXCEPT;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.cu)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  foreach(source ${ROOM_EXCEPT})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${source})
  endforeach()
  if(ROOM_SOURCES)
    set(sources ${ROOM_SOURCES})
  endif()
  if(NOT sources)  # headers only
    add_library(vitrine_${name} INTERFACE)
    add_library(vitrine::${name} ALIAS vitrine_${name})
    target_link_libraries(vitrine_${name} INTERFACE vitrine_headers ${ROOM_USES})
    vitrine_export_room(${name})
    return()
  endif()
  add_library(vitrine_${name} STATIC ${sources})
  add_library(vitrine::${name} ALIAS vitrine_${name})
  target_link_libraries(vitrine_${name} PRIVATE $<BUILD_INTERFACE:vitrine_options> PUBLIC vitrine_headers ${ROOM_USES})
  vitrine_unity(vitrine_${name})
  if(ROOM_GLUE)
    vitrine_quickly_compiled(vitrine_${name})
    # At -O1 so many files take what eight take at -O3, and each unit less saves the start of one with LibTorch.
    set_target_properties(vitrine_${name} PROPERTIES UNITY_BUILD_BATCH_SIZE 14)
  endif()
  if(ROOM_TORCH)
    vitrine_use_torch(vitrine_${name})
  endif()
  vitrine_export_room(${name})
endfunction()

function(vitrine_command name)
  cmake_parse_arguments(COMMAND "TORCH" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${COMMAND_SOURCES})
  target_link_libraries(${name} PRIVATE vitrine_options ${COMMAND_USES})
  vitrine_quickly_compiled(${name})  # main() reads a command line; the work is in rooms
  if(COMMAND_TORCH)
    vitrine_executable_uses_torch(${name})
  endif()
  if(VITRINE_INSTALL AND name MATCHES "^vitrine")  # not the helpers of tests
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  endif()
endfunction()

# As few units as have at most 120 kB each, about 2,500 lines, with the same number of files.
function(vitrine_test_units target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources files)
  set(bytes 0)
  foreach(source ${sources})
    file(SIZE ${source} size)
    math(EXPR bytes "${bytes} + ${size}")
  endforeach()
  math(EXPR units "(${bytes} + 119999) / 120000")
  math(EXPR batch "(${files} + ${units} - 1) / ${units}")
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VITRINE_UNITY} UNITY_BUILD_BATCH_SIZE ${batch})
endfunction()

# The entry NAME, whose command is a program and its arguments; a line of build/tests/entries, for those who run it elsewhere.
function(vitrine_test_entry name labels environment)
  list(APPEND environment OMP_NUM_THREADS=1 VITRINE_BIN=${vitrine_BINARY_DIR}/bin VITRINE_SOURCE=${vitrine_SOURCE_DIR})
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 900 SKIP_RETURN_CODE 77 ENVIRONMENT "${environment}")
  set_property(GLOBAL PROPERTY vitrine_test_${name} ${ARGN})
  list(JOIN ARGN " " words)
  set_property(GLOBAL APPEND_STRING PROPERTY vitrine_test_entries "${name} ${words}\n")
endfunction()

function(vitrine_test name)
  cmake_parse_arguments(TEST "TORCH" "IN" "SOURCES;USES;LABELS" ${ARGN})
  list(TRANSFORM TEST_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set(program ${name})
  set(command ${name})
  if(TEST_IN)
    set(program ${TEST_IN})
    # The files' paths as the compiler sees them end like this.
    list(TRANSFORM TEST_SOURCES REPLACE "^${vitrine_SOURCE_DIR}" "*" OUTPUT_VARIABLE patterns)
    list(JOIN patterns "," patterns)
    set(command ${program} --source-file=${patterns})
    add_custom_target(${name})  # so that `cmake --build build --target NAME` builds every entry
    add_dependencies(${name} ${program})
  endif()
  if(NOT TARGET ${program})
    add_executable(${program})
    target_link_libraries(${program} PRIVATE vitrine_options vitrine_doctest_main)
    vitrine_quickly_compiled(${program})
  endif()
  target_sources(${program} PRIVATE ${TEST_SOURCES})
  target_link_libraries(${program} PRIVATE ${TEST_USES})
  vitrine_test_units(${program})
  get_target_property(uses_torch ${program} VITRINE_TORCH)
  if(TEST_TORCH AND NOT uses_torch)
    vitrine_executable_uses_torch(${program})
    set_target_properties(${program} PROPERTIES VITRINE_TORCH TRUE)
  endif()
  set(environment)
  if("gpu" IN_LIST TEST_LABELS)
    set(environment VITRINE_TEST_DEVICE=cuda)
  endif()
  vitrine_test_entry(${name} "${TEST_LABELS}" "${environment}" ${command})
endfunction()

function(vitrine_gpu_test name)
  get_property(command GLOBAL PROPERTY vitrine_test_${name})
  vitrine_test_entry(${name}_gpu gpu "VITRINE_TEST_DEVICE=cuda;CUBLAS_WORKSPACE_CONFIG=:4096:8" ${command} ${ARGN})
endfunction()

function(vitrine_portable_test name)
  get_property(command GLOBAL PROPERTY vitrine_test_${name})
  vitrine_test_entry(${name}_portable "" VITRINE_ISA=portable ${command})
endfunction()

function(vitrine_peer_test name script)
  add_test(NAME ${name} COMMAND ${vitrine_SOURCE_DIR}/.venv/bin/python -E -s ${script} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS peer TIMEOUT 900 SKIP_RETURN_CODE 77
                       ENVIRONMENT "OMP_NUM_THREADS=1;VITRINE_BIN=${vitrine_BINARY_DIR}/bin;VITRINE_SOURCE=${vitrine_SOURCE_DIR}")
endfunction()
