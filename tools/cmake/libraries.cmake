# Third-party libraries as imported targets. Read by the build, which needs all of them, and by the package of an installed
# Vitrine (VitrineConfig.cmake), which needs those of the rooms that are asked for.
#
#   vitrine_find(TARGET REQUIRED|QUIET)   defines TARGET; with QUIET it stays undefined where something is missing
#
# VITRINE_TORCH is the directory of the torch package. LibTorch is linked directly: find_package(Torch) of the wheel insists
# on its own choice of architectures and flags.
set(vitrine_LIBRARIES Threads::Threads TBB::tbb vitrine_hdf5 JPEG::JPEG PNG::PNG OpenSSL::Crypto nlohmann_json::nlohmann_json
    CLI11::CLI11 vitrine_zstd vitrine_webp vitrine_xxhash vitrine_eigen vitrine_opencv vitrine_onnx_proto vitrine_torch
    vitrine_torch_cuda)

# An imported target for a library without a CMake package in Debian 12. Each header's directory and each library is looked
# for, in the subdirectories SUFFIXES too.
function(vitrine_plain_library target word)
  cmake_parse_arguments(PLAIN "" "" "HEADERS;LIBRARIES;SUFFIXES" ${ARGN})
  set(includes "")
  set(libraries "")
  foreach(header ${PLAIN_HEADERS})
    string(MAKE_C_IDENTIFIER VITRINE_${header} name)
    find_path(${name} ${header} PATH_SUFFIXES ${PLAIN_SUFFIXES} ${word})
    list(APPEND includes "${${name}}")
  endforeach()
  foreach(library ${PLAIN_LIBRARIES})
    find_library(VITRINE_lib${library} ${library} PATH_SUFFIXES ${PLAIN_SUFFIXES} ${word})
    list(APPEND libraries "${VITRINE_lib${library}}")
  endforeach()
  if("${includes};${libraries}" MATCHES "-NOTFOUND")
    return()
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${includes})
  target_link_libraries(${target} INTERFACE ${libraries})
endfunction()

function(vitrine_find_torch word)
  if(NOT EXISTS ${VITRINE_TORCH}/lib/libtorch_cpu.so)
    if(word STREQUAL "REQUIRED")
      message(FATAL_ERROR "LibTorch is not in ${VITRINE_TORCH}")
    endif()
    return()
  endif()
  add_library(vitrine_torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(vitrine_torch SYSTEM INTERFACE ${VITRINE_TORCH}/include ${VITRINE_TORCH}/include/torch/csrc/api/include
                                                            ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_compile_definitions(vitrine_torch INTERFACE USE_CUDA USE_C10D_GLOO USE_C10D_NCCL USE_DISTRIBUTED)
  target_link_libraries(vitrine_torch INTERFACE ${VITRINE_TORCH}/lib/libtorch_cpu.so ${VITRINE_TORCH}/lib/libc10.so
                                                Threads::Threads)
  # Only linked by targets that call CUDA, so that CPU runs do not load a gigabyte of CUDA libraries.
  add_library(vitrine_torch_cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(vitrine_torch_cuda INTERFACE vitrine_torch "-Wl,--no-as-needed" ${VITRINE_TORCH}/lib/libtorch_cuda.so
                                                     ${VITRINE_TORCH}/lib/libc10_cuda.so "-Wl,--as-needed")
endfunction()

function(vitrine_find target word)
  if(TARGET ${target})
    return()
  endif()
  set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # a project around this one links rooms that use them
  if(target STREQUAL "Threads::Threads")
    find_package(Threads ${word})
  elseif(target STREQUAL "OpenSSL::Crypto")
    find_package(OpenSSL ${word} COMPONENTS Crypto)
  elseif(target STREQUAL "vitrine_hdf5" AND CMAKE_C_COMPILER_LOADED)
    find_package(HDF5 ${word} COMPONENTS C)
    if(HDF5_FOUND)
      add_library(vitrine_hdf5 INTERFACE IMPORTED GLOBAL)
      target_include_directories(vitrine_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
      target_link_libraries(vitrine_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
    endif()
  elseif(target STREQUAL "vitrine_hdf5")  # FindHDF5 needs C; these are Debian's names
    vitrine_plain_library(vitrine_hdf5 ${word} HEADERS hdf5.h LIBRARIES hdf5 SUFFIXES hdf5/serial)
  elseif(target STREQUAL "vitrine_zstd")
    vitrine_plain_library(vitrine_zstd ${word} HEADERS zstd.h LIBRARIES zstd)
  elseif(target STREQUAL "vitrine_webp")
    vitrine_plain_library(vitrine_webp ${word} HEADERS webp/decode.h LIBRARIES webp)
  elseif(target STREQUAL "vitrine_xxhash")
    vitrine_plain_library(vitrine_xxhash ${word} HEADERS xxhash.h LIBRARIES xxhash)
  elseif(target STREQUAL "vitrine_eigen")
    vitrine_plain_library(vitrine_eigen ${word} HEADERS Eigen/Core SUFFIXES eigen3)
  elseif(target STREQUAL "vitrine_opencv")  # Debian's small packages come without OpenCV's CMake package
    vitrine_plain_library(vitrine_opencv ${word} HEADERS opencv2/core.hpp LIBRARIES opencv_imgproc opencv_core SUFFIXES opencv4)
  elseif(target STREQUAL "vitrine_onnx_proto")
    # ONNX's message classes. The headers of protobuf must not meet LibTorch's, which are of another version: only targets
    # without LibTorch use this.
    vitrine_plain_library(vitrine_onnx_proto ${word} HEADERS onnx/onnx_pb.h google/protobuf/message.h
                          LIBRARIES onnx_proto protobuf)
    if(TARGET vitrine_onnx_proto)
      target_compile_definitions(vitrine_onnx_proto INTERFACE ONNX_ML=1)
    endif()
  elseif(target MATCHES "^vitrine_torch")
    vitrine_find(Threads::Threads ${word})
    vitrine_find_torch(${word})
  else()
    string(REGEX REPLACE "::.*" "" package ${target})
    find_package(${package} ${word})
  endif()
endfunction()
