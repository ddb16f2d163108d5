# For aarch64 Linux, from another processor: by the cross compiler of Debian and its like
# (g++-aarch64-linux-gnu), or by clang (-DCMAKE_CXX_COMPILER=clang++), which takes its headers.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(NOT DEFINED CMAKE_CXX_COMPILER)
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)  # of use to clang only
