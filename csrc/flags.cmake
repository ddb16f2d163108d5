# Compiler flags of the core and of its bindings, as the interface library ilo_flags.

option(ILO_FAST_WERROR "Treat warnings as errors" OFF)

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(ilo_flags INTERFACE)
# -O3 for the plain loops of rows.inl; no contraction and no reassociation: the float64 definition of a
# distance has to give the same bits on every instruction set.
set(ilo_cxx_flags -O3 -ffp-contract=off -fno-fast-math -Wall -Wextra)
if(ILO_FAST_WERROR)
  list(APPEND ilo_cxx_flags -Werror)
endif()
target_compile_options(ilo_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ilo_cxx_flags}>")

if(ILO_CUDA)
  list(TRANSFORM ilo_cxx_flags PREPEND -Xcompiler= OUTPUT_VARIABLE ilo_host_flags)
  # 20050 warns of kernels that are inline: ours lie in headers that several files may include.
  set(ilo_cuda_flags --fmad=false --expt-relaxed-constexpr -diag-suppress=20050 ${ilo_host_flags})
  if(ILO_FAST_WERROR)
    list(APPEND ilo_cuda_flags -Werror=all-warnings)
  endif()
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13)  # a quarter of the size
    list(APPEND ilo_cuda_flags --compress-mode=size)
  endif()
  target_compile_options(ilo_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${ilo_cuda_flags}>")
endif()
