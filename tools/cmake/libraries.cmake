# Third-party libraries as imported targets. LibTorch is linked directly: find_package(Torch) of the wheel insists on its own
# choice of architectures and flags.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # a project around this one links rooms that use them
find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

# Libraries without a CMake package in Debian 12.
function(vitrine_plain_library name header library)
  find_path(${name}_INCLUDE ${header} REQUIRED)
  find_library(${name}_LIBRARY ${library} REQUIRED)
  add_library(vitrine_${name} INTERFACE)
  target_include_directories(vitrine_${name} SYSTEM INTERFACE ${${name}_INCLUDE})
  target_link_libraries(vitrine_${name} INTERFACE ${${name}_LIBRARY})
endfunction()
vitrine_plain_library(zstd zstd.h zstd)
vitrine_plain_library(webp webp/decode.h webp)
vitrine_plain_library(xxhash xxhash.h xxhash)

find_path(eigen_INCLUDE Eigen/Core PATH_SUFFIXES eigen3 REQUIRED)
add_library(vitrine_eigen INTERFACE)
target_include_directories(vitrine_eigen SYSTEM INTERFACE ${eigen_INCLUDE})

# Debian's small OpenCV packages come without OpenCV's CMake package.
find_path(opencv_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(opencv_core_LIBRARY opencv_core REQUIRED)
find_library(opencv_imgproc_LIBRARY opencv_imgproc REQUIRED)
add_library(vitrine_opencv INTERFACE)
target_include_directories(vitrine_opencv SYSTEM INTERFACE ${opencv_INCLUDE})
target_link_libraries(vitrine_opencv INTERFACE ${opencv_imgproc_LIBRARY} ${opencv_core_LIBRARY})

add_library(vitrine_hdf5 INTERFACE)
target_include_directories(vitrine_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(vitrine_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

# ONNX's message classes. The headers of protobuf must not meet LibTorch's, which are of another version: only targets
# without LibTorch use this.
find_path(onnx_INCLUDE onnx/onnx_pb.h REQUIRED)
find_path(protobuf_INCLUDE google/protobuf/message.h REQUIRED)
find_library(onnx_proto_LIBRARY onnx_proto REQUIRED)
find_library(protobuf_LIBRARY protobuf REQUIRED)
add_library(vitrine_onnx_proto INTERFACE)
target_include_directories(vitrine_onnx_proto SYSTEM INTERFACE ${onnx_INCLUDE} ${protobuf_INCLUDE})
target_compile_definitions(vitrine_onnx_proto INTERFACE ONNX_ML=1)
target_link_libraries(vitrine_onnx_proto INTERFACE ${onnx_proto_LIBRARY} ${protobuf_LIBRARY})

set(_torch ${VITRINE_SITE_PACKAGES}/torch)
add_library(vitrine_torch INTERFACE)
target_include_directories(vitrine_torch SYSTEM INTERFACE ${_torch}/include ${_torch}/include/torch/csrc/api/include
                                                          ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_compile_definitions(vitrine_torch INTERFACE USE_CUDA USE_C10D_GLOO USE_C10D_NCCL USE_DISTRIBUTED)
target_link_directories(vitrine_torch INTERFACE ${_torch}/lib)
target_link_options(vitrine_torch INTERFACE "LINKER:-rpath,${_torch}/lib")
target_link_libraries(vitrine_torch INTERFACE torch_cpu c10 Threads::Threads)

# Only linked by targets that call CUDA, so that CPU runs do not load a gigabyte of CUDA libraries.
add_library(vitrine_torch_cuda INTERFACE)
target_link_libraries(vitrine_torch_cuda INTERFACE vitrine_torch "-Wl,--no-as-needed" torch_cuda c10_cuda "-Wl,--as-needed")
